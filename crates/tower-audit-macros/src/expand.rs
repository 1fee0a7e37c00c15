//! Makes the new function of the old one.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Block, Expr, ExprLit, ItemFn, Lit, ReturnType, Signature, Type, parse_quote,
    visit_mut::VisitMut,
};

use crate::{
    arguments::{Arguments, bound},
    target::Target,
};

/// Returns the function with its recording, or with the errors of what is wrong with it: the function itself
/// stays, so that there are no further errors because it is missing.
pub(crate) fn audited(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    match expanded(arguments, item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.to_compile_error();
            quote! { #error #item }
        }
    }
}

fn expanded(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut function: ItemFn = syn::parse2(item).map_err(|error| {
        let message = "`#[audited]` is for an async function or method with a body";
        syn::Error::new(error.span(), message)
    })?;
    let arguments = Arguments::parse(arguments)?;
    check_is_async(&function.sig)?;
    check_is_named(&arguments.action)?;
    let target = arguments.target.as_ref().map(Target::parse).transpose()?;
    if let Some(target) = &target {
        check_is_bound(target, &function.sig)?;
    }
    function.block = Box::new(body(&arguments.action, target.as_ref(), &function));
    Ok(function.into_token_stream())
}

/// Returns the new body: the old one, with its recording around it.
fn body(action: &Expr, target: Option<&Target>, function: &ItemFn) -> Block {
    let target = target.map(Target::tokens).map_or_else(
        || quote! { ::core::option::Option::None },
        |target| quote! { ::core::option::Option::Some((#target)) },
    );
    let (statements, result) = (&function.block.stmts, result(&function.sig.output));
    parse_quote!({
        let __tower_audit_call = ::tower_audit::__private::Call::begin(#action, #target);
        let __tower_audit_result = async move {
            // Says what `?` has to make of an error.
            if false {
                return ::tower_audit::__private::never::<#result>();
            }
            #(#statements)*
        }
        .await;
        {
            use ::tower_audit::__private::{OfAnything as _, OfDisplay as _, OfReason as _, OfResult as _};
            let __tower_audit_failure =
                (&&&&::tower_audit::__private::Probe(&__tower_audit_result)).__tower_audit_failure();
            __tower_audit_call.end(__tower_audit_failure);
        }
        __tower_audit_result
    })
}

fn check_is_named(action: &Expr) -> syn::Result<()> {
    let message = match action {
        Expr::Path(_) => return Ok(()),
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if !text.value().trim().is_empty() => return Ok(()),
        Expr::Lit(ExprLit {
            lit: Lit::Str(_), ..
        }) => "the action is empty: name what is done, as in \"project.archive\"",
        _ => {
            "an action is text, as in \"project.archive\", or a constant, as in `catalog::project::ARCHIVE`"
        }
    };
    Err(syn::Error::new_spanned(action, message))
}

fn check_is_async(signature: &Signature) -> syn::Result<()> {
    if let ReturnType::Type(_, ty) = &signature.output
        && matches!(**ty, Type::Never(_))
    {
        let message =
            "`#[audited]` is for functions that return: this one has no end that could be recorded";
        return Err(syn::Error::new_spanned(ty, message));
    }
    if signature.asyncness.is_some() {
        return Ok(());
    }
    if returns_a_boxed_future(&signature.output) {
        return Err(syn::Error::new_spanned(
            signature.fn_token,
            "`#[audited]` does not see through `#[async_trait]`: put it on the function that this one calls, or write \
             the trait with `async fn`",
        ));
    }
    Err(syn::Error::new_spanned(
        signature.fn_token,
        "`#[audited]` is for async functions: make it `async`, or record in it by `Auditor::record`",
    ))
}

fn returns_a_boxed_future(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else {
        return false;
    };
    let Type::Path(path) = &**ty else {
        return false;
    };
    let last = path.path.segments.last();
    last.is_some_and(|segment| segment.ident == "Pin")
}

/// Refuses a target that names what is no argument.
fn check_is_bound(target: &Target, signature: &Signature) -> syn::Result<()> {
    let names = bound(signature);
    for value in target.values() {
        if !names.contains(&value.argument) {
            let known: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let known = match known.as_slice() {
                [] => "it has none".to_owned(),
                known => format!("it has {}", known.join(", ")),
            };
            let message = format!(
                "`{}` is no argument of `{}`: {known}",
                value.argument, signature.ident
            );
            return Err(syn::Error::new(target.span(), message));
        }
    }
    Ok(())
}

/// Returns the type that a function returns, with `_` where only the body can tell.
fn result(output: &ReturnType) -> Type {
    struct Erase;
    impl VisitMut for Erase {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if matches!(ty, Type::ImplTrait(_)) {
                *ty = parse_quote!(_);
            }
            syn::visit_mut::visit_type_mut(self, ty);
        }
    }
    match output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => {
            let mut ty = (**ty).clone();
            Erase.visit_type_mut(&mut ty);
            ty
        }
    }
}
