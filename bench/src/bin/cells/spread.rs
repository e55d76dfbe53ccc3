//! Requests spread at random over a thousand loaded models, each in a fresh cell.
//!
//! What a request costs beyond one to a single model is waiting for memory: nothing of the model is in
//! the processor's caches any more. How much of that no host can avoid is told by native code that walks
//! the same trees.

use std::time::Instant;

use modelcell::hooks::Request;
use modelcell::load::Loaded;
use modelcell::sandbox::Isolation;
use modelcell_bench::costs::{Cost, HEADING, Round, mean, median};
use modelcell_bench::fleet::Fleet;
use modelcell_bench::in_process::{InProcess, ask};
use modelcell_bench::observe::Resident;
use modelcell_bench::report::{aim, mib};
use modelcell_bench::subject::{MODEL_FILE, request_of};
use modelcell_bench::trace::uniform;

use crate::smaps::{images, page_tables};
use crate::walk::Forest;

/// What a request may cost, in microseconds.
const AIM: f64 = 100.0;
const ROUNDS: usize = 15;
const REQUESTS: usize = 4_000;
/// How many models the requests are spread over.
const MODELS: [usize; 4] = [1, 10, 100, 1_000];

/// The models, loaded, and how each is asked.
struct Crowd<'a> {
    host: &'a InProcess,
    fleet: &'a Fleet,
    requests: &'a [Request],
    models: Vec<Loaded>,
}

/// Measures and prints.
pub fn measure() -> Result<(), String> {
    let fleet = Fleet::find()?;
    println!(
        "\nrequests spread at random over up to {} loaded models, each of {:.0} nodes",
        fleet.models(),
        fleet.shape.nodes
    );
    let host = InProcess::start(1)?;
    let requests: Vec<_> = (0..fleet.models())
        .map(|model| request_of(fleet.csv(model).into_bytes()))
        .collect();
    let crowd = |isolation| Crowd::load(&host, &fleet, &requests, isolation);
    let fresh = crowd(Isolation::Request)?;
    let reused = crowd(Isolation::Model)?;
    let forests = (0..fleet.models())
        .map(|model| Forest::read(&fleet.saved(model).map_err(|e| e.to_string())?))
        .collect::<Result<Vec<_>, String>>()?;

    println!("{HEADING}");
    let mut last = (Cost::default(), Cost::default(), f64::NAN);
    let mut first = last;
    for models in MODELS {
        let (mut freshes, mut reuseds, mut walks) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..ROUNDS {
            let trace = uniform(models, REQUESTS, number as u64);
            reuseds.push(reused.round(&trace)?);
            freshes.push(fresh.round(&trace)?);
            walks.push(walk(&forests, &fleet, &trace)?);
        }
        last = (
            Cost::median(&freshes),
            Cost::median(&reuseds),
            median(walks),
        );
        if models == 1 {
            first = last;
        }
        println!("{}", last.0.row(&format!("{models} models, fresh cells")));
        println!("{}", last.1.row("  reused cells"));
        println!("{:<38} {:>7.1}", "  native walk of the trees", last.2);
    }
    print_parts(first, last);
    aim(
        &format!("at most {AIM:.0} us a request in a fresh cell"),
        &format!("{:.1} us", last.0.total),
        last.0.total <= AIM,
    );
    Ok(())
}

/// What a request to one of many models is made of.
fn print_parts(one: (Cost, Cost, f64), many: (Cost, Cost, f64)) {
    let hooks = |cost: Cost| cost.input_fn + cost.predict_fn + cost.output_fn;
    println!(
        "  of {:.1} us, {:.1} us are what one model costs, {:.1} us of it in a reused cell; of the other \
         {:.1} us, the walk over the trees waits for {:.1} us in native code, too; the three hooks as a \
         whole wait for {:.1} us, making the cell for {:.1} us and ending it for {:.1} us",
        many.0.total,
        one.0.total,
        one.1.total,
        many.0.total - one.0.total,
        many.2 - one.2,
        hooks(many.0) - hooks(one.0),
        many.0.lease - one.0.lease,
        many.0.end - one.0.end,
    );
}

impl<'a> Crowd<'a> {
    /// Loads all models and has each answer once, and says what memory that took.
    fn load(
        host: &'a InProcess,
        fleet: &'a Fleet,
        requests: &'a [Request],
        isolation: Isolation,
    ) -> Result<Self, String> {
        // The code, which all share, is none of theirs.
        let first = fleet.saved(0).map_err(|e| e.to_string())?;
        let code = host.load(None, &[(MODEL_FILE, &first)], isolation)?;
        if let Some(request) = requests.first() {
            host.ask(&code, request)?;
        }
        let before = Held::now()?;
        let mut models = Vec::new();
        for model in 0..fleet.models() {
            let json = fleet.saved(model).map_err(|e| e.to_string())?;
            models.push(host.load(None, &[(MODEL_FILE, &json)], isolation)?);
        }
        let crowd = Self {
            host,
            fleet,
            requests,
            models,
        };
        let all: Vec<usize> = (0..fleet.models()).collect();
        crowd.round(&all)?;
        modelcell::allocator::give_back();
        let cells = match isolation {
            Isolation::Request => "fresh cells",
            Isolation::Model => "reused cells",
        };
        Held::now()?.print_since(&before, cells, fleet.models());
        Ok(crowd)
    }

    /// Asks the models of `trace`; each answer must be right.
    fn round(&self, trace: &[usize]) -> Result<Cost, String> {
        self.host.runtime().block_on(async {
            let mut round = Round::default();
            for &model in trace {
                let (Some(loaded), Some(request)) =
                    (self.models.get(model), self.requests.get(model))
                else {
                    return Err("the trace asks for a model that is not there".into());
                };
                let answered = ask(loaded, request).await?;
                round.add(&answered);
                self.fleet.check_body(model, &answered.payload.body)?;
            }
            Ok(round.cost())
        })
    }
}

/// Microseconds of a walk over the trees of each model of `trace`; each must end where XGBoost's does.
fn walk(forests: &[Forest], fleet: &Fleet, trace: &[usize]) -> Result<f64, String> {
    let mut times = Vec::new();
    for &model in trace {
        let row: Vec<f32> = fleet.row(model).iter().map(|&value| value as f32).collect();
        let forest = forests.get(model).ok_or("a model has no trees")?;
        let begin = Instant::now();
        let probability = forest.probability(&row);
        times.push(begin.elapsed());
        if !fleet.is_right(model, probability) {
            return Err(format!(
                "the native walk of model {model} gives {probability}"
            ));
        }
    }
    Ok(mean(times))
}

/// What the process holds, in bytes.
struct Held {
    resident: Resident,
    page_tables: u64,
    images: u64,
}

impl Held {
    fn now() -> Result<Self, String> {
        Ok(Self {
            resident: Resident::of(std::process::id())?,
            page_tables: page_tables()?,
            images: images()?,
        })
    }

    fn print_since(&self, before: &Self, cells: &str, models: usize) {
        let each =
            |now: u64, then: u64| now.saturating_sub(then) as f64 / 1024.0 / models.max(1) as f64;
        let (now, then) = (&self.resident, &before.resident);
        println!(
            "  each loaded model with {cells}, having answered, in KiB: RSS {:.0}, PSS {:.0}, of them \
             {:.0} anonymous; images {:.0}, page tables {:.1}; all models: RSS {:.0} MiB",
            each(now.rss, then.rss),
            each(now.pss, then.pss),
            each(now.anonymous, then.anonymous),
            each(self.images, before.images),
            each(self.page_tables, before.page_tables),
            mib(now.rss.saturating_sub(then.rss))
        );
    }
}
