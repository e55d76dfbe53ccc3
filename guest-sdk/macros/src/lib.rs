//! The `#[export]` attribute of `modelcell-guest`. Authors use it as `modelcell_guest::export`,
//! where it is documented.

mod check;
mod expand;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes a type the model of this component.
///
/// It stands on the `impl Model for X` block, without arguments, once in a crate. It
///
/// - adds `input_fn` when the block leaves it out, as `Decode` of the type `Input`;
/// - adds `output_fn` when the block leaves it out, as `Encode` of the type `Prediction`;
/// - exports the four hooks to the host when the crate is compiled for `wasm32`. On other targets
///   it exports nothing, so the crate's tests run natively.
///
/// ```ignore
/// use modelcell_guest::{export, ndarray::Array2, Model, Result};
///
/// #[export]
/// impl Model for Iris {
///     type Input = Array2<f32>;
///     type Prediction = Array2<f32>;
///     fn model_fn(model_dir: &std::path::Path) -> Result<Self> { /* read the files */ }
///     fn predict_fn(&self, rows: Array2<f32>) -> Result<Array2<f32>> { /* the model */ }
/// }
/// ```
#[proc_macro_attribute]
pub fn export(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::export(arguments.into(), item.into()).into()
}
