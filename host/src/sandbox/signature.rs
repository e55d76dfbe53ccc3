//! Whether the hooks of a component have the types of the contract.
//!
//! wasmtime compares them only when a component is instantiated, which is too late: whoever packs or
//! inspects a component wants to know. So this makes the same comparison beforehand. wasmtime keeps
//! the functions for it out of its documentation, but they are the ones that its own bindings use.

use wasmtime::component::types::{self, ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ResourceAny};
use wasmtime::{Engine, Result};

use crate::hooks::{GuestError, Hook, INTERFACE, Payload, Request};

/// The hooks, by their names in WIT, that a component does not export, or exports with another type
/// than the contract's.
#[derive(Debug, Default)]
pub struct HookFaults {
    /// Not exported.
    pub missing: Vec<&'static str>,
    /// Of another type.
    pub ill_typed: Vec<&'static str>,
}

/// Compares a component's exports with the contract.
pub fn hook_faults(engine: &Engine, component: &Component) -> HookFaults {
    let ty = component.component_type();
    let hooks = match ty.get_export(engine, INTERFACE).map(|e| e.ty) {
        Some(ComponentItem::ComponentInstance(instance)) => Some(instance),
        _ => None,
    };
    let mut faults = HookFaults::default();
    for hook in Hook::ALL {
        let name = hook.wit_name();
        let export = hooks.as_ref().and_then(|i| i.get_export(engine, name));
        match export.map(|e| e.ty) {
            Some(ComponentItem::ComponentFunc(func)) => {
                if typecheck(hook, &func, &ty).is_err() {
                    faults.ill_typed.push(name);
                }
            }
            _ => faults.missing.push(name),
        }
    }
    faults
}

fn typecheck(hook: Hook, func: &ComponentFunc, ty: &types::Component) -> Result<()> {
    type Answer<T> = (std::result::Result<T, GuestError>,);
    let cx = &ty.instance_type();
    match hook {
        Hook::ModelFn => func.typecheck::<(&str,), Answer<()>>(cx),
        Hook::InputFn => func.typecheck::<(&Request,), Answer<ResourceAny>>(cx),
        Hook::PredictFn => func.typecheck::<(ResourceAny,), Answer<ResourceAny>>(cx),
        Hook::OutputFn => func.typecheck::<(ResourceAny, Option<&str>), Answer<Payload>>(cx),
    }
}
