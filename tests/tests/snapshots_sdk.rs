//! What the SDK leaves behind when `model_fn` ends: nothing that would be wrong in another instance
//! of the component's frozen memory. Without the server, because this holds for any host.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::HashSet;
use std::path::Path;

use modelcell_tests::artifact::guest;
use tempfile::TempDir;
use wasmtime::component::{Component, Instance, Linker, ResourceTable, WasmList};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use bindings::Model;
use bindings::exports::modelcell::inference::hooks::Request;

mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "model" });
}

const MODEL_DIR: &str = "/opt/ml/model";

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

/// An instance of a component, and what it prints.
struct Cell {
    store: Store<State>,
    instance: Instance,
    model: Model,
    stdout: MemoryOutputPipe,
    stderr: MemoryOutputPipe,
}

impl Cell {
    fn new(component: &[u8], model_dir: &Path) -> Self {
        let engine = Engine::default();
        let component = Component::new(&engine, component).unwrap();
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
        let (stdout, stderr) = (
            MemoryOutputPipe::new(1 << 16),
            MemoryOutputPipe::new(1 << 16),
        );
        let wasi = WasiCtx::builder()
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .preopened_dir(model_dir, MODEL_DIR, FsPerms::ReadOnly)
            .unwrap()
            .build();
        let table = ResourceTable::new();
        let mut store = Store::new(&engine, State { table, wasi });
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let model = Model::new(&mut store, &instance).unwrap();
        Self {
            store,
            instance,
            model,
            stdout,
            stderr,
        }
    }

    fn load(&mut self) {
        let hooks = self.model.modelcell_inference_hooks();
        hooks
            .call_model_fn(&mut self.store, MODEL_DIR)
            .unwrap()
            .unwrap();
    }

    /// The three hooks; an error if the guest traps.
    fn ask(&mut self, body: &str) -> wasmtime::Result<String> {
        let hooks = self.model.modelcell_inference_hooks();
        let request = Request {
            body: body.into(),
            content_type: None,
            accept: None,
            target_model: None,
            custom_attributes: None,
            inference_id: None,
            target_variant: None,
        };
        let store = &mut self.store;
        let input = hooks.call_input_fn(&mut *store, &request)?.unwrap();
        let prediction = hooks.call_predict_fn(&mut *store, input)?.unwrap();
        let payload = hooks
            .call_output_fn(&mut *store, prediction, None)?
            .unwrap();
        Ok(String::from_utf8(payload.body).unwrap())
    }

    #[track_caller]
    fn answer(&mut self, body: &str) -> String {
        self.ask(body)
            .unwrap_or_else(|error| panic!("{body}: {error:?}"))
    }

    fn holds_no_handle(&self) -> bool {
        self.store.data().table.is_empty()
    }

    fn printed(&self) -> String {
        String::from_utf8(self.stdout.contents().to_vec()).unwrap()
    }

    fn complained(&self) -> String {
        String::from_utf8(self.stderr.contents().to_vec()).unwrap()
    }

    fn read<R: wasmtime::component::Lift + 'static>(
        &mut self,
        interface: &str,
        func: &str,
    ) -> (&mut Store<State>, R) {
        let store = &mut self.store;
        let interface = self.instance.get_export_index(&mut *store, None, interface);
        let func = self
            .instance
            .get_export_index(&mut *store, interface.as_ref(), func);
        let func = self
            .instance
            .get_typed_func::<(), (R,)>(&mut *store, func.unwrap());
        let (value,) = func.unwrap().call(&mut *store, ()).unwrap();
        (store, value)
    }
}

impl ComponentInstanceState for Cell {
    async fn call_func_ret_list_u8(
        &mut self,
        interface: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let (store, list) = self.read::<WasmList<u8>>(interface, func);
        contents(list.as_le_slice(&store));
    }

    async fn call_func_ret_s32(&mut self, interface: &str, func: &str) -> i32 {
        self.read(interface, func).1
    }

    async fn call_func_ret_s64(&mut self, interface: &str, func: &str) -> i64 {
        self.read(interface, func).1
    }

    async fn call_func_ret_f32(&mut self, interface: &str, func: &str) -> u32 {
        self.read::<f32>(interface, func).1.to_bits()
    }

    async fn call_func_ret_f64(&mut self, interface: &str, func: &str) -> u64 {
        self.read::<f64>(interface, func).1.to_bits()
    }
}

/// A model's directory with the lines that `model_fn` obeys.
fn model_dir(behaviour: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("behaviour"), behaviour).unwrap();
    std::fs::write(dir.path().join("data"), "the model's data").unwrap();
    dir
}

/// The component with the memory that it has after `model_fn`.
fn frozen(component: &[u8], model_dir: &Path) -> Vec<u8> {
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(component).unwrap();
    let mut cell = Cell::new(&instrumented, model_dir);
    cell.load();
    assert!(cell.holds_no_handle());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(wizer.snapshot_component(&context, &mut cell))
        .unwrap()
}

/// Reads, lists, prints, complains and asks for the end of stdin.
fn uses_everything(cell: &mut Cell) {
    assert_eq!(
        cell.answer(&format!("predict:read {MODEL_DIR}/data")),
        "the model's data"
    );
    assert_eq!(
        cell.answer(&format!("input:list {MODEL_DIR}")),
        "behaviour data"
    );
    assert_eq!(cell.answer("predict:stdin"), "\"\"");
    assert_eq!(cell.answer("predict:sleep 1"), "slept");
    let (printed, complained) = (cell.printed(), cell.complained());
    assert_eq!(cell.answer("predict:print out"), "printed");
    assert_eq!(cell.answer("output:eprint err"), "printed");
    assert_eq!(cell.printed(), printed + "out\n");
    assert_eq!(cell.complained(), complained + "err\n");
}

const USES_EVERYTHING: &str = "print printed by model_fn
eprint complained by model_fn
read /opt/ml/model/data
read /opt/ml/model/nothing
list /opt/ml/model
stdin
sleep 1
env
args
write /opt/ml/model/x
print-part unfinished";

#[test]
fn model_fn_leaves_no_handle_and_all_works_again() {
    for behaviour in ["", "hash", USES_EVERYTHING] {
        let dir = model_dir(behaviour);
        let mut cell = Cell::new(&guest("misbehave"), dir.path());
        cell.load();
        assert!(cell.holds_no_handle(), "{behaviour}");
        uses_everything(&mut cell);
        assert!(!cell.holds_no_handle());
    }
}

#[test]
fn a_frozen_component_uses_handles_of_its_own() {
    let dir = model_dir(USES_EVERYTHING);
    let frozen = frozen(&guest("misbehave"), dir.path());
    for _ in 0..2 {
        let mut cell = Cell::new(&frozen, dir.path());
        uses_everything(&mut cell);
        // Not what model_fn had left in the buffer of stdout.
        assert_eq!(cell.printed(), "out\n");
        cell.ask("predict:panic at the end").unwrap_err();
        assert!(
            cell.complained().contains("panicked at"),
            "{}",
            cell.complained()
        );
    }
}

#[test]
fn a_panic_alone_has_its_message() {
    let dir = model_dir("");
    let mut cell = Cell::new(&frozen(&guest("misbehave"), dir.path()), dir.path());
    cell.ask("predict:panic at once").unwrap_err();
    assert!(
        cell.complained().ends_with(": at once\n"),
        "{}",
        cell.complained()
    );
}

#[test]
fn instances_of_a_frozen_component_hash_with_keys_of_their_own() {
    let dir = model_dir("hash\nput what model_fn knows");
    let component = guest("misbehave");
    let frozen = frozen(&component, dir.path());
    let mut unfrozen = Cell::new(&component, dir.path());
    unfrozen.load();
    let hashes: HashSet<String> = [unfrozen]
        .into_iter()
        .chain((0..3).map(|_| Cell::new(&frozen, dir.path())))
        .flat_map(|mut cell| {
            let hashes = [(); 2].map(|()| cell.answer("predict:hash"));
            // With the keys that the map had from the beginning.
            let recalled = cell.answer("predict:look-up what model_fn knows");
            assert_eq!(recalled, "Some(19)");
            assert_eq!(cell.answer("predict:look-up something else"), "None");
            hashes
        })
        .collect();
    assert_eq!(hashes.len(), 8, "{hashes:?}");
}

#[test]
fn a_file_that_the_model_keeps_stays_open() {
    let dir = model_dir("keep-open /opt/ml/model/data");
    let mut cell = Cell::new(&guest("misbehave"), dir.path());
    cell.load();
    assert!(!cell.holds_no_handle());
    uses_everything(&mut cell);
}
