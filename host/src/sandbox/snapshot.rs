//! A model's state after `model_fn`, frozen: where its cells start from.
//!
//! A component is prepared for it before it is compiled: `wasmtime-wizer` adds an interface through
//! which memories and globals can be read ([`ACCESS`]). What `model_fn` left is read through it and has
//! two parts. The memory becomes an [`Image`]. The globals become constants in the code, which is
//! compiled once for all models that agree in them; in most components the only one is the stack
//! pointer, which is always where it was in the beginning.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{Instance, WasmList};
use wasmtime::{AsContextMut, Store};

use super::CellCode;
use super::fault::CellError;
use super::limits::Refusal;
use super::memory::{Image, Slots, extents_of};
use super::state::CellState;
use crate::budget::{Account, Charge, NoRoom};
use crate::hooks::Hook;

/// The interface that wizer adds to a component.
pub const ACCESS: &str = "wasmtime:wizer/access";

/// What reading a memory takes of it: wizer's accessor grows the memory to leave its answer there.
const ACCESSOR_BYTES: usize = 64 * 1024;

/// Values of mutable globals, by the name of the function that reads them.
pub type Globals = BTreeMap<String, GlobalValue>;

/// The value of a mutable global: floating-point ones by their bits, which differ for equal NaNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GlobalValue {
    /// An `i32`.
    I32(i32),
    /// An `i64`.
    I64(i64),
    /// An `f32`.
    F32(u32),
    /// An `f64`.
    F64(u64),
}

/// What `model_fn` left.
pub struct Snapshot {
    /// The linear memory.
    pub image: Arc<Image>,
    /// What the image holds of the memory budget.
    pub charge: Charge,
    /// The mutable globals.
    pub globals: Globals,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// No other instance could start from the state.
    #[error("{0}")]
    Unfit(String),
    /// The memory budget has no room for the image.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The kernel has no memory, or no file, for the image.
    #[error("the host cannot keep its state: {0}")]
    Kernel(io::Error),
}

/// Why an accessor gave nothing: mostly because the memory cannot grow by a page.
fn unreadable(store: &mut Store<CellState>, error: &wasmtime::Error) -> FreezeError {
    match store.data_mut().limits.take_refused() {
        Some(Refusal::NoRoom(no_room)) => FreezeError::NoRoom(no_room),
        _ => FreezeError::Unfit(format!("its state cannot be read: {error:#}")),
    }
}

/// A snapshot that cells can be made of.
pub struct Frozen {
    /// The component's code, without any data, with the snapshot's globals.
    pub(super) code: Arc<CellCode>,
    /// The snapshot's memory, and where it is mapped.
    pub(super) slots: Arc<Slots>,
    // After the slots, which map the image.
    _charge: Charge,
}

impl Frozen {
    /// A snapshot that `code` was compiled for. The memory of its cells is charged to `account`.
    pub fn new(code: Arc<CellCode>, snapshot: Snapshot, account: Arc<Account>) -> Self {
        Self {
            code,
            slots: Slots::new(snapshot.image, account),
            _charge: snapshot.charge,
        }
    }

    /// Makes room for a first cell, so that the first request finds it.
    ///
    /// # Errors
    ///
    /// If there is none, in [`Hook::ModelFn`], which it stands for.
    pub fn warm_up(&self) -> Result<(), CellError> {
        let hook = Hook::ModelFn;
        self.slots.warm_up().map_err(|error| CellError {
            hook,
            fault: error.into(),
        })
    }
}

impl Snapshot {
    /// Reads what `model_fn` left in `instance`. The image is charged to `account`.
    pub(super) async fn take(
        store: &mut Store<CellState>,
        instance: &Instance,
        account: &Arc<Account>,
    ) -> Result<Self, FreezeError> {
        store.data_mut().limits.allow_more(ACCESSOR_BYTES);
        store.set_epoch_deadline(1);
        let mut globals = Globals::new();
        let mut memory = None;
        for (name, ty) in accessors(store, instance).map_err(|error| unreadable(store, &error))? {
            let value = match ty {
                Type::S32 => call::<i32>(store, instance, &name)
                    .await
                    .map(GlobalValue::I32),
                Type::S64 => call::<i64>(store, instance, &name)
                    .await
                    .map(GlobalValue::I64),
                Type::Float32 => call::<f32>(store, instance, &name)
                    .await
                    .map(|value| GlobalValue::F32(value.to_bits())),
                Type::Float64 => call::<f64>(store, instance, &name)
                    .await
                    .map(|value| GlobalValue::F64(value.to_bits())),
                // There is one memory: a component with more is not prepared.
                _ => {
                    memory = Some(name);
                    continue;
                }
            };
            let value = value.map_err(|error| unreadable(store, &error))?;
            globals.insert(name, value);
        }
        let memory = memory.ok_or_else(|| FreezeError::Unfit("it has no memory".into()))?;
        let memory = call::<WasmList<u8>>(store, instance, &memory).await;
        let memory = memory.map_err(|error| unreadable(store, &error))?;
        let memory = memory.as_le_slice(&*store);
        let extents = extents_of(memory);
        let held: usize = extents.iter().map(ExactSizeIterator::len).sum();
        let charge = account.charge(held as u64)?;
        let image = Image::new(memory, extents).map_err(FreezeError::Kernel)?;
        Ok(Self {
            image: Arc::new(image),
            charge,
            globals,
        })
    }
}

/// The functions that read the instance's state, with what they return.
fn accessors(
    store: &mut Store<CellState>,
    instance: &Instance,
) -> wasmtime::Result<Vec<(String, Type)>> {
    let component = instance.instance_pre(&*store).component().clone();
    let engine = store.engine().clone();
    let ty = component.component_type();
    let item = ty.get_export(&engine, ACCESS).map(|external| external.ty);
    let Some(ComponentItem::ComponentInstance(access)) = item else {
        wasmtime::bail!("the component is not prepared for it");
    };
    access
        .exports(&engine)
        .map(|(name, external)| match external.ty {
            ComponentItem::ComponentFunc(function) => match function.results().next() {
                Some(ty) => Ok((name.to_owned(), ty)),
                None => wasmtime::bail!("{name} returns nothing"),
            },
            _ => wasmtime::bail!("{name} is not a function"),
        })
        .collect()
}

async fn call<T>(
    store: &mut Store<CellState>,
    instance: &Instance,
    name: &str,
) -> wasmtime::Result<T>
where
    T: wasmtime::component::Lift + Send + Sync + 'static,
{
    let missing = || wasmtime::format_err!("{name} is missing");
    let mut store = store.as_context_mut();
    let access = instance.get_export_index(&mut store, None, ACCESS);
    let access = access.ok_or_else(missing)?;
    let function = instance.get_export_index(&mut store, Some(&access), name);
    let function = function.ok_or_else(missing)?;
    let function = instance.get_typed_func::<(), (T,)>(&mut store, function)?;
    Ok(function.call_async(&mut store, ()).await?.0)
}
