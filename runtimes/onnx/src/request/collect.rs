//! Collects the values of an input, whatever their type.

use modelcell_guest::{Error, Result};
use serde_json::Value;
use tract_onnx::tract_hir::internal::{DatumType, Tensor};

use crate::ops::tensor;
use crate::scalar::{Scalar, with_scalar};

/// The values of an input, one after the other.
pub(super) trait Collect {
    /// Appends the value that a text spells. False if it spells none.
    fn text(&mut self, text: &str) -> bool;

    /// Appends a JSON value. False if it is no such value.
    fn json(&mut self, value: &Value) -> bool;

    /// What the values are.
    fn expected(&self) -> &'static str;

    /// How many values there are.
    fn len(&self) -> usize;

    /// All values in this shape.
    fn finish(self: Box<Self>, shape: &[usize]) -> Result<Tensor>;
}

struct Values<T>(Vec<T>);

impl<T: Scalar> Collect for Values<T> {
    fn text(&mut self, text: &str) -> bool {
        let value = T::from_text(text);
        let found = value.is_some();
        self.0.extend(value);
        found
    }

    fn json(&mut self, value: &Value) -> bool {
        let value = T::from_json(value);
        let found = value.is_some();
        self.0.extend(value);
        found
    }

    fn expected(&self) -> &'static str {
        T::NAME
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn finish(self: Box<Self>, shape: &[usize]) -> Result<Tensor> {
        tensor(shape, self.0).map_err(crate::failed)
    }
}

/// A collection for values of this type.
pub(super) fn collect(kind: DatumType) -> Result<Box<dyn Collect>> {
    with_scalar!(
        kind,
        T => Ok(Box::new(Values::<T>(Vec::new()))),
        Err(Error::failed("an input of a type that requests cannot hold"))
    )
}

/// How an error quotes what it found.
pub(super) fn quote(found: &str) -> String {
    const MOST: usize = 40;
    let mut letters = found.chars();
    let start: String = letters.by_ref().take(MOST).collect();
    let dots = if letters.next().is_some() { "..." } else { "" };
    format!("{start:?}{dots}")
}
