//! The floor below every host: the component, called by bare wasmtime with its defaults. No
//! deadline, no memory limit, no log, no pool, no async.

use std::path::Path;
use std::time::{Duration, Instant};

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store, format_err};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use bindings::Model;
use bindings::exports::modelcell::inference::hooks::Request;

mod bindings {
    #![allow(
        missing_docs,
        reason = "generated from wit/, which documents each item"
    )]
    wasmtime::component::bindgen!({ path: "../wit", world: "model" });
}

struct State {
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// A component as bare wasmtime compiles it.
pub struct Compiled {
    engine: Engine,
    component: Component,
    linker: Linker<State>,
}

impl Compiled {
    /// Compiles the component.
    ///
    /// # Errors
    ///
    /// Whatever wasmtime says.
    pub fn new(component: &Path) -> Result<Self> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        Ok(Self {
            engine,
            component,
            linker,
        })
    }

    /// Makes an instance and runs `model_fn`.
    ///
    /// # Errors
    ///
    /// Whatever wasmtime or the guest says.
    pub fn load(&self, model_dir: &Path, row: &[u8]) -> Result<Bare> {
        let wasi = WasiCtx::builder()
            .preopened_dir(model_dir, modelcell::hooks::MODEL_DIR, FsPerms::ReadOnly)?
            .build();
        let table = ResourceTable::new();
        let mut store = Store::new(&self.engine, State { table, wasi });
        let model = Model::instantiate(&mut store, &self.component, &self.linker)?;
        let begin = Instant::now();
        model
            .modelcell_inference_hooks()
            .call_model_fn(&mut store, modelcell::hooks::MODEL_DIR)?
            .map_err(|e| format_err!("{e:?}"))?;
        let model_fn = begin.elapsed();
        let request = Request {
            body: row.to_vec(),
            content_type: Some("text/csv".into()),
            accept: None,
            target_model: None,
            custom_attributes: None,
            inference_id: None,
            target_variant: None,
        };
        Ok(Bare {
            store,
            model,
            request,
            model_fn,
        })
    }
}

/// One instance whose `model_fn` has run.
pub struct Bare {
    store: Store<State>,
    model: Model,
    request: Request,
    /// How long `model_fn` took.
    pub model_fn: Duration,
}

impl Bare {
    /// Compiles the component, makes an instance and runs `model_fn`.
    ///
    /// # Errors
    ///
    /// Whatever wasmtime or the guest says.
    pub fn start(component: &Path, model_dir: &Path, row: &[u8]) -> Result<Self> {
        Compiled::new(component)?.load(model_dir, row)
    }

    /// The three hooks of one request; returns the answer's body.
    ///
    /// # Errors
    ///
    /// Whatever wasmtime or the guest says.
    pub fn call(&mut self) -> Result<Vec<u8>> {
        let hooks = self.model.modelcell_inference_hooks();
        let guest = |e| format_err!("{e:?}");
        let input = hooks
            .call_input_fn(&mut self.store, &self.request)?
            .map_err(guest)?;
        let prediction = hooks
            .call_predict_fn(&mut self.store, input)?
            .map_err(guest)?;
        let payload = hooks
            .call_output_fn(&mut self.store, prediction, None)?
            .map_err(guest)?;
        Ok(payload.body)
    }
}
