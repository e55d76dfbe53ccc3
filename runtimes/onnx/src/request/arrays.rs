//! NPY and NPZ: an array for each input.

use modelcell_guest::{Context, Error, Result};
use tract_onnx::tract_hir::internal::Tensor;

use super::{fit, names};
use crate::signature::Input;
use crate::{npy, zip};

/// Reads the only input.
pub(super) fn npy(inputs: &[Input], body: &[u8]) -> Result<Vec<Tensor>> {
    inputs
        .iter()
        .map(|input| fit(input, npy::read(body, input.kind)?))
        .collect()
}

/// Reads the inputs by their names. The only array for the only input may have any name.
pub(super) fn npz(inputs: &[Input], body: &[u8]) -> Result<Vec<Tensor>> {
    let files = zip::read(body)?;
    let find = |input: &Input| {
        let by_name = files
            .iter()
            .find(|(name, _)| name.strip_suffix(".npy").unwrap_or(name) == input.name);
        let only = files
            .first()
            .filter(|_| files.len() == 1 && inputs.len() == 1);
        by_name.or(only)
    };
    if files.len() != inputs.len() {
        return Err(Error::invalid_input(format_args!(
            "expected {} arrays ({}), found {}",
            inputs.len(),
            names(inputs),
            files.len()
        )));
    }
    inputs
        .iter()
        .map(|input| {
            let (_, bytes) = find(input)
                .invalid_input(format!("there is no array `{}` in the npz", input.name))?;
            let tensor = npy::read(bytes, input.kind).context(format!("input `{}`", input.name))?;
            fit(input, tensor)
        })
        .collect()
}
