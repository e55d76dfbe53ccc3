//! Writes what `#[export]` adds: the hooks left out, and the exports.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, ImplItem, Item, ItemImpl, Type};

use crate::check;

/// The expansion, or the compile errors in its place.
pub(crate) fn export(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let wrong_arguments = check::arguments(&arguments).err();
    match expand(item.clone()) {
        Ok(expanded) => match wrong_arguments {
            None => expanded,
            Some(error) => {
                let error = error.into_compile_error();
                quote!(#expanded #error)
            }
        },
        Err(mut error) => {
            if let Some(first) = wrong_arguments {
                error.combine(first);
            }
            // A struct or function stays, so that its uses elsewhere raise no further errors. An
            // impl block goes: rustc would repeat the same complaints in other words.
            let keep = !matches!(syn::parse2(item.clone()), Ok(Item::Impl(_)));
            let item = keep.then_some(item);
            let error = error.into_compile_error();
            quote!(#item #error)
        }
    }
}

fn expand(item: TokenStream) -> Result<TokenStream, Error> {
    let mut model = check::model_impl(syn::parse2(item)?)?;
    check::contents(&model)?;
    let missing: Vec<ImplItem> = [default_input_fn(&model), default_output_fn(&model)]
        .into_iter()
        .flatten()
        .map(ImplItem::Verbatim)
        .collect();
    model.items.extend(missing);
    let exports = exports(&model.self_ty);
    Ok(quote!(#model #exports))
}

/// The hook when the author left it out. Its tokens carry the place of the author's type, so that
/// rustc points there if the type cannot be decoded.
fn default_input_fn(model: &ItemImpl) -> Option<TokenStream> {
    let at = place(model, "input_fn", "Input")?;
    Some(quote_spanned! {at=>
        fn input_fn(
            &self,
            request: ::modelcell_guest::Request,
        ) -> ::modelcell_guest::Result<Self::Input> {
            <Self::Input as ::modelcell_guest::Decode>::decode(request)
        }
    })
}

/// As [`default_input_fn`], for the way out.
fn default_output_fn(model: &ItemImpl) -> Option<TokenStream> {
    let at = place(model, "output_fn", "Prediction")?;
    Some(quote_spanned! {at=>
        fn output_fn(
            &self,
            prediction: Self::Prediction,
            accept: &::modelcell_guest::Accept,
        ) -> ::modelcell_guest::Result<::modelcell_guest::Payload> {
            <Self::Prediction as ::modelcell_guest::Encode>::encode(prediction, accept)
        }
    })
}

/// The span of the author's `type NAME = ...` if the hook is missing.
fn place(model: &ItemImpl, hook: &str, name: &str) -> Option<Span> {
    if check::has(model, hook) {
        return None;
    }
    model.items.iter().find_map(|part| match part {
        ImplItem::Type(part) if part.ident == name => {
            // The names in the hook resolve as the macro's own, wherever the error points.
            Some(Span::mixed_site().located_at(part.ty.span()))
        }
        _ => None,
    })
}

/// The slot that holds the loaded model, and on wasm32 the exported functions.
fn exports(model: &Type) -> TokenStream {
    let model = model.to_token_stream();
    quote! {
        const _: () = {
            impl ::modelcell_guest::__private::Exported for #model {
                fn slot() -> &'static ::std::thread::LocalKey<
                    ::modelcell_guest::__private::Slot<Self>,
                > {
                    ::std::thread_local! {
                        static SLOT: ::modelcell_guest::__private::Slot<#model> =
                            const { ::modelcell_guest::__private::Slot::new() };
                    }
                    &SLOT
                }
            }

            // Only here: the exports' names hold an `@`, which native linkers refuse.
            #[cfg(target_arch = "wasm32")]
            type Component = ::modelcell_guest::__private::Component<#model>;
            #[cfg(target_arch = "wasm32")]
            ::modelcell_guest::__private::export_component!(
                Component with_types_in ::modelcell_guest::__private::bindings
            );
        };
    }
}
