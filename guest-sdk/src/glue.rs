//! Between the host's contract in WIT and the author's [`Model`].
//!
//! The component holds one model, in a slot that `model-fn` fills and nothing empties. Inputs and
//! predictions are resources of the component, so what passes between the hooks is only a handle.

mod handles;
mod panic;
mod seeds;

use std::cell::OnceCell;
use std::marker::PhantomData;
use std::path::Path;
use std::thread::LocalKey;

use crate::error::Kind;
use crate::{Accept, Error, Model, Payload, Request, Result, alloc};
use bindings::exports::modelcell::inference::hooks;

/// What `wit-bindgen` makes of `wit/`.
#[allow(missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn)]
#[allow(clippy::all, clippy::restriction)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "model",
        pub_export_macro: true,
        export_macro_name: "export_component",
        generate_unused_types: true,
    });
}

/// Where a component keeps its model. The reference never ends: nothing unloads a model but the
/// end of its component.
pub type Slot<M> = OnceCell<&'static M>;

/// A model with a slot, which only `#[export]` can declare: a static cannot be generic.
pub trait Exported: Model {
    /// The slot. Components have one thread.
    fn slot() -> &'static LocalKey<Slot<Self>>;
}

/// The component of a model: implements the contract's functions by the model's hooks.
pub struct Component<M>(PhantomData<M>);

/// A model's decoded input, as the resource that the host holds a handle of.
pub struct Input<M: Model>(M::Input);

/// A model's prediction, likewise.
pub struct Prediction<M: Model>(M::Prediction);

impl<M: Exported> hooks::GuestInput for Input<M> {}
impl<M: Exported> hooks::GuestPrediction for Prediction<M> {}

impl<M: Exported> hooks::Guest for Component<M> {
    type Input = Input<M>;
    type Prediction = Prediction<M>;

    fn model_fn(model_dir: String) -> Result<(), hooks::Error> {
        panic::install_hook();
        load::<M>(Path::new(&model_dir))?;
        handles::release();
        seeds::find();
        alloc::freeze();
        Ok(())
    }

    fn input_fn(request: hooks::Request) -> Result<hooks::Input, hooks::Error> {
        seeds::renew();
        let input = loaded::<M>()?.input_fn(request.into())?;
        Ok(hooks::Input::new(Input::<M>(input)))
    }

    fn predict_fn(input: hooks::Input) -> Result<hooks::Prediction, hooks::Error> {
        let Input(input) = input.into_inner::<Input<M>>();
        let prediction = loaded::<M>()?.predict_fn(input)?;
        Ok(hooks::Prediction::new(Prediction::<M>(prediction)))
    }

    fn output_fn(
        prediction: hooks::Prediction,
        accept: Option<String>,
    ) -> Result<hooks::Payload, hooks::Error> {
        let Prediction(prediction) = prediction.into_inner::<Prediction<M>>();
        let accept = Accept::new(accept.as_deref());
        Ok(loaded::<M>()?.output_fn(prediction, &accept)?.into())
    }
}

fn load<M: Exported>(model_dir: &Path) -> Result<()> {
    M::slot().with(|slot| {
        if slot.get().is_some() {
            return Err(Error::failed(
                "model-fn was called twice: a component holds one model",
            ));
        }
        let model = Box::leak(Box::new(M::model_fn(model_dir)?));
        slot.set(model)
            .map_err(|_| Error::failed("model-fn was called while it ran"))
    })
}

fn loaded<M: Exported>() -> Result<&'static M> {
    M::slot()
        .with(|slot| slot.get().copied())
        .ok_or_else(|| Error::failed("no model is loaded: call model-fn first"))
}

impl From<hooks::Request> for Request {
    fn from(request: hooks::Request) -> Self {
        Self {
            body: request.body,
            content_type: request.content_type,
            accept: request.accept,
            target_model: request.target_model,
            custom_attributes: request.custom_attributes,
            inference_id: request.inference_id,
            target_variant: request.target_variant,
        }
    }
}

impl From<Payload> for hooks::Payload {
    fn from(payload: Payload) -> Self {
        Self {
            body: payload.body,
            content_type: payload.content_type,
            custom_attributes: payload.custom_attributes,
        }
    }
}

impl From<Error> for hooks::Error {
    fn from(error: Error) -> Self {
        let (kind, message) = error.into_parts();
        match kind {
            Kind::UnsupportedContentType => Self::UnsupportedContentType(message),
            Kind::UnsupportedAccept => Self::UnsupportedAccept(message),
            Kind::InvalidInput => Self::InvalidInput(message),
            Kind::Failed => Self::Failed(message),
        }
    }
}
