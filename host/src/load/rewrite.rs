//! What is done to a component before it is compiled.
//!
//! Rewriting reads and writes a hostile component, so it runs where the compiler runs: a [`Rewrite`]
//! says what to do and is sent there. The work is `wasmtime-wizer`'s: see
//! <https://docs.rs/wasmtime-wizer>.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::sandbox::{GlobalValue, Globals, printable};

/// A form of a component.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rewrite {
    /// As it is.
    Plain,
    /// With an interface through which its state can be read ([`crate::sandbox::ACCESS`]).
    Instrument,
    /// Without data and start functions, and with these values of its globals: the code for cells whose
    /// memory the host puts in place.
    Freeze(Globals),
}

impl Rewrite {
    /// The component `wasm` in this form.
    ///
    /// # Errors
    ///
    /// One line that says why it cannot have this form.
    pub fn apply<'a>(&self, wasm: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        let rewrite = match self {
            Self::Plain => return Ok(Cow::Borrowed(wasm)),
            Self::Instrument => catch_unwind(|| instrument(wasm)),
            Self::Freeze(globals) => {
                catch_unwind(AssertUnwindSafe(|| freeze(wasm, globals.clone())))
            }
        };
        // wizer's word for what it does not expect of a component.
        let rewritten = rewrite.map_err(|_| "wizer gave up on it".to_owned())?;
        // Its other texts quote the component, some of them in several lines.
        rewritten.map(Cow::Owned).map_err(|e| printable(&e))
    }
}

fn instrument(wasm: &[u8]) -> Result<Vec<u8>, String> {
    first_memory(wasm)?;
    let instrumented = Wizer::new().instrument_component(wasm);
    let (_, instrumented) = instrumented.map_err(|e| format!("{e:#}"))?;
    Ok(instrumented)
}

fn freeze(wasm: &[u8], globals: Globals) -> Result<Vec<u8>, String> {
    let memory = vec![0; first_memory(wasm)?];
    let wizer = Wizer::new();
    let (component, _) = wizer
        .instrument_component(wasm)
        .map_err(|e| format!("{e:#}"))?;
    let mut state = Recorded {
        globals,
        memory,
        unknown: None,
    };
    let frozen = {
        let mut freezing = pin!(wizer.snapshot_component(&component, &mut state));
        match freezing
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(frozen) => frozen.map_err(|e| format!("{e:#}"))?,
            // The state is at hand, so there is nothing to wait for.
            Poll::Pending => return Err("it was not frozen in one go".into()),
        }
    };
    match state.unknown {
        None => Ok(frozen),
        Some(name) => Err(format!("{name} was not read")),
    }
}

/// Bytes of the only linear memory of a component, as declared.
fn first_memory(wasm: &[u8]) -> Result<usize, String> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::MemorySection(memories) = payload.map_err(|e| e.to_string())? else {
            continue;
        };
        for memory in memories {
            let memory = memory.map_err(|e| e.to_string())?;
            if memory.shared || memory.memory64 || memory.page_size_log2.is_some() {
                return Err("its memory is shared, of 64 bits or of unusual pages".into());
            }
            if found.replace(memory.initial).is_some() {
                return Err("it has several linear memories".into());
            }
        }
    }
    let pages = found.ok_or("it has no linear memory")?;
    let bytes = pages.checked_mul(64 * 1024);
    bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| "its memory is too large".into())
}

/// The state as it was read from an instance, but for the memory: wizer is shown one of zeros, for
/// which it writes no data.
struct Recorded {
    globals: Globals,
    memory: Vec<u8>,
    /// A global that was asked for in vain.
    unknown: Option<String>,
}

impl Recorded {
    fn global<T: Default>(&mut self, name: &str, get: impl Fn(GlobalValue) -> Option<T>) -> T {
        let value = self.globals.get(name).copied().and_then(get);
        value.unwrap_or_else(|| {
            self.unknown = Some(name.to_owned());
            T::default()
        })
    }
}

impl ComponentInstanceState for Recorded {
    async fn call_func_ret_list_u8(
        &mut self,
        _instance: &str,
        _func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        contents(&self.memory);
    }

    async fn call_func_ret_s32(&mut self, _instance: &str, func: &str) -> i32 {
        self.global(func, |value| match value {
            GlobalValue::I32(value) => Some(value),
            _ => None,
        })
    }

    async fn call_func_ret_s64(&mut self, _instance: &str, func: &str) -> i64 {
        self.global(func, |value| match value {
            GlobalValue::I64(value) => Some(value),
            _ => None,
        })
    }

    async fn call_func_ret_f32(&mut self, _instance: &str, func: &str) -> u32 {
        self.global(func, |value| match value {
            GlobalValue::F32(bits) => Some(bits),
            _ => None,
        })
    }

    async fn call_func_ret_f64(&mut self, _instance: &str, func: &str) -> u64 {
        self.global(func, |value| match value {
            GlobalValue::F64(bits) => Some(bits),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_the_component_holds() {
        // A section for a core module that holds none.
        let wasm = b"\0asm\x0d\0\x01\0\x01\x08notasm\n\0";
        let error = Rewrite::Instrument.apply(wasm).unwrap_err();
        assert!(error.contains("magic"), "{error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}
