//! What the host keeps for a cell: its handles, its limits, and WASI.
//!
//! Most requests call nothing of WASI, so its context is made when a guest first does. The one that
//! has the model's directory is apart, because to open the directory costs as much as a small
//! model's prediction.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::p2::bindings::random;
use wasmtime_wasi::random::WasiRandomCtx;
use wasmtime_wasi::{
    FsPerms, HostMonotonicClock, ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
};

use super::Sandbox;
use super::cell::CellSpec;
use super::guest_log::{GuestLog, Stream};
use super::lanes::LongMark;
use super::limits::{CellLimits, HANDLES, RESOURCES};
use crate::hooks;

/// Random bytes that a guest may ask for at once: the host makes them without a break.
const RANDOM_BYTES: usize = 64 * 1024;

pub(super) struct CellState {
    table: ResourceTable,
    /// Clocks, randomness, variables and the standard streams.
    wasi: Option<WasiCtx>,
    /// The model's directory.
    files: Option<WasiCtx>,
    model_dir: Arc<Path>,
    environment: Arc<[(String, String)]>,
    log: GuestLog,
    pub(super) limits: CellLimits,
    /// The call that runs has gone on for a tick.
    pub(super) long: LongMark,
}

impl CellState {
    pub(super) fn random(&mut self) -> &mut WasiRandomCtx {
        self.wasi().random()
    }

    /// What `wasi:filesystem` has of the cell.
    pub(super) fn files(&mut self) -> WasiFilesystemCtxView<'_> {
        let Self {
            table,
            files,
            model_dir,
            ..
        } = self;
        let ctx = files.get_or_insert_with(|| {
            let mut builder = WasiCtx::builder();
            // A guest whose directory is gone sees none.
            if let Err(error) =
                builder.preopened_dir(&*model_dir, hooks::MODEL_DIR, FsPerms::ReadOnly)
            {
                tracing::error!(%error, "a model's directory cannot be opened");
            }
            builder.build()
        });
        WasiFilesystemCtxView {
            ctx: ctx.filesystem(),
            table,
        }
    }

    /// Handles of the host that the guest holds: open files, streams, timers.
    pub(super) fn handles(&mut self) -> usize {
        self.table.iter_mut().count()
    }

    fn wasi(&mut self) -> &mut WasiCtx {
        let (log, environment) = (&self.log, &self.environment);
        self.wasi.get_or_insert_with(|| {
            WasiCtxBuilder::new()
                .envs(environment)
                .stdout(log.stream(Stream::Stdout))
                .stderr(log.stream(Stream::Stderr))
                .max_random_size(RANDOM_BYTES as u64)
                .monotonic_clock(SteadyClock)
                .build()
        })
    }
}

impl WasiView for CellState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi();
        let Self { table, wasi, .. } = self;
        WasiCtxView {
            ctx: wasi.get_or_insert_with(|| WasiCtx::builder().build()),
            table,
        }
    }
}

impl random::random::Host for CellState {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > RANDOM_BYTES {
            wasmtime::bail!("asked for {len} random bytes, more than {RANDOM_BYTES} at once");
        }
        let mut bytes = vec![0; len];
        random_bytes(&mut bytes)?;
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        random_bytes(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

/// Fills `bytes` from the kernel's generator.
fn random_bytes(bytes: &mut [u8]) -> wasmtime::Result<()> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += retry_on_intr(|| getrandom(&mut *rest, GetRandomFlags::empty()))?;
    }
    Ok(())
}

/// A clock that goes on from one cell to the next, and from one run of the host to the next, so that a
/// moment that `model_fn` noted stays in the past.
struct SteadyClock;

static START: LazyLock<(Instant, u64)> = LazyLock::new(|| {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since_1970.unwrap_or_default().as_nanos();
    (Instant::now(), u64::try_from(nanos).unwrap_or(0))
});

impl HostMonotonicClock for SteadyClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        let (start, nanos) = *START;
        let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        nanos.saturating_add(elapsed)
    }
}

/// A store for one cell.
pub(super) fn new_store(
    sandbox: &Sandbox,
    spec: &CellSpec,
    limits: CellLimits,
    log: &GuestLog,
) -> Store<CellState> {
    let mut table = ResourceTable::new();
    table.set_max_capacity(HANDLES);
    let state = CellState {
        table,
        wasi: None,
        files: None,
        model_dir: spec.model_dir.clone(),
        environment: spec.environment.clone(),
        log: log.clone(),
        limits,
        long: LongMark::default(),
    };
    let mut store = Store::new(sandbox.engine(), state);
    store.limiter(|state| &mut state.limits);
    store.set_hostcall_fuel(spec.transfer_limit);
    store.set_max_component_handles(RESOURCES);
    store.set_epoch_deadline(1);
    // tokio's own yield lets sockets and timers be looked at before the guest goes on; a plain
    // wake-up would put the guest back in the queue ahead of them.
    store.epoch_deadline_callback(|context| {
        context.data().long.set();
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
    store
}
