//! What a guest may call.
//!
//! Cells offer WASI 0.2's clocks, random, standard streams, environment (what the artifact's settings
//! say, and for runtimes a few variables of the operator's) and file system (one read-only directory). Interfaces of `wasi:sockets` and `wasi:http` may be imported, because
//! components made from Python or JavaScript import them without calling them, but a call traps
//! with a message that names it. Anything else is refused when the component is linked.

use std::fmt;

use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, HasSelf, Linker, LinkerInstance, ResourceType};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::WasiFilesystem;
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::random::WasiRandom;

use super::state::CellState;

/// Interfaces that work in a cell.
const OFFERED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Interfaces of WASI 0.2 that may be imported but not called.
const DENIED: &[&str] = &[
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Resources of `wasi:io` under the names by which denied interfaces refer to them. They are the
/// offered ones and must not be defined a second time.
const OFFERED_RESOURCES: &[&str] = &[
    "error",
    "input-stream",
    "io-error",
    "output-stream",
    "pollable",
];

/// What becomes of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// It works.
    Offered,
    /// It links, and a call to it traps.
    Denied,
    /// The component cannot run here.
    Unknown,
}

/// An import of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its name, such as `wasi:sockets/tcp@0.2.6`.
    pub name: String,
    /// What becomes of it.
    pub capability: Capability,
}

/// A guest called what cells do not offer. Ends the call; the text goes to caller and log.
#[derive(Debug)]
pub(super) struct DeniedCall {
    /// `wasi:sockets/tcp@0.2.6#[method]tcp-socket.start-connect`
    pub(super) name: String,
}

impl fmt::Display for DeniedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "called {}, which no cell offers", self.name)
    }
}

impl std::error::Error for DeniedCall {}

/// What is linked to every component.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CellState>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    // wasi:io, wasi:clocks, wasi:random/random and the three standard streams.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(l)?;
    filesystem::preopens::add_to_linker::<CellState, WasiFilesystem>(l, CellState::files)?;
    filesystem::types::add_to_linker::<CellState, WasiFilesystem>(l, CellState::files)?;
    // Instead of WASI's own: each request asks for a few bytes, for its hash maps' keys.
    l.allow_shadowing(true);
    random::random::add_to_linker::<CellState, HasSelf<CellState>>(l, |state| state)?;
    l.allow_shadowing(false);
    random::insecure::add_to_linker::<CellState, WasiRandom>(l, CellState::random)?;
    random::insecure_seed::add_to_linker::<CellState, WasiRandom>(l, CellState::random)?;
    cli::environment::add_to_linker::<CellState, WasiCli>(l, CellState::cli)?;
    cli::exit::add_to_linker::<CellState, WasiCli>(l, CellState::cli)?;
    cli::terminal_input::add_to_linker::<CellState, WasiCli>(l, CellState::cli)?;
    cli::terminal_output::add_to_linker::<CellState, WasiCli>(l, CellState::cli)?;
    cli::terminal_stdin::add_to_linker::<CellState, WasiCli>(l, CellState::cli)?;
    cli::terminal_stdout::add_to_linker::<CellState, WasiCli>(l, CellState::cli)?;
    cli::terminal_stderr::add_to_linker::<CellState, WasiCli>(l, CellState::cli)?;
    Ok(linker)
}

/// The linker for one component: `base` and a trap for each function that it imports in vain.
///
/// # Errors
///
/// A text that names the imports that no cell offers.
pub(super) fn link_imports(
    base: &Linker<CellState>,
    engine: &Engine,
    component: &Component,
) -> Result<Linker<CellState>, String> {
    let unknown: Vec<String> = imports_of(engine, component)
        .into_iter()
        .filter(|import| import.capability == Capability::Unknown)
        .map(|import| import.name)
        .collect();
    if !unknown.is_empty() {
        return Err(format!(
            "the component imports {}, which Modelcell does not offer (it offers WASI 0.2's cli, \
             clocks, filesystem, io and random)",
            unknown.join(", "),
        ));
    }
    let mut linker = base.clone();
    for (name, external) in component.component_type().imports(engine) {
        if let ComponentItem::ComponentInstance(instance) = external.ty
            && capability(name) == Capability::Denied
        {
            linker
                .instance(name)
                .and_then(|mut into| deny_all(&mut into, engine, name, &instance))
                .map_err(|e| format!("{name} cannot be linked: {e:#}"))?;
        }
    }
    Ok(linker)
}

/// The imports of a component, in its own order.
pub fn imports_of(engine: &Engine, component: &Component) -> Vec<Import> {
    component
        .component_type()
        .imports(engine)
        .filter(|(_, external)| !is_only_type(&external.ty))
        .map(|(name, _)| Import {
            name: name.to_owned(),
            capability: capability(name),
        })
        .collect()
}

/// A type that is imported by itself asks nothing of the host.
fn is_only_type(item: &ComponentItem) -> bool {
    matches!(item, ComponentItem::Type(_))
}

fn capability(import: &str) -> Capability {
    let Some((interface, version)) = import.split_once('@') else {
        return Capability::Unknown;
    };
    // Releases 0.2.x are compatible with each other.
    if !version.starts_with("0.2.") {
        return Capability::Unknown;
    }
    if OFFERED.contains(&interface) {
        Capability::Offered
    } else if DENIED.contains(&interface) {
        Capability::Denied
    } else {
        Capability::Unknown
    }
}

fn deny_all(
    into: &mut LinkerInstance<'_, CellState>,
    engine: &Engine,
    interface: &str,
    instance: &ComponentInstance,
) -> wasmtime::Result<()> {
    for (name, external) in instance.exports(engine) {
        match external.ty {
            ComponentItem::ComponentFunc(_) => {
                let call = format!("{interface}#{name}");
                into.func_new(name, move |_, _, _, _| {
                    Err(wasmtime::Error::new(DeniedCall { name: call.clone() }))
                })?;
            }
            // No guest ever holds one, because no function that makes one returns.
            ComponentItem::Resource(_) if !OFFERED_RESOURCES.contains(&name) => {
                into.resource(name, ResourceType::host::<DeniedCall>(), |_, _| Ok(()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_releases_0_2_of_wasi_are_known() {
        for (import, expected) in [
            ("wasi:cli/stdout@0.2.0", Capability::Offered),
            ("wasi:cli/stdout@0.2.99", Capability::Offered),
            ("wasi:cli/stdout@0.3.0", Capability::Unknown),
            ("wasi:cli/stdout", Capability::Unknown),
            ("wasi:sockets/tcp@0.2.3", Capability::Denied),
            ("wasi:sockets/teleport@0.2.3", Capability::Unknown),
            ("env", Capability::Unknown),
        ] {
            assert_eq!(capability(import), expected, "{import}");
        }
    }
}
