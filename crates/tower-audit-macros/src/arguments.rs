//! The arguments of a function, and those of the attribute.

use darling::FromMeta;
use proc_macro2::{Ident, Span};
use syn::{FnArg, LitStr, PatIdent, Signature, visit::Visit};

/// What stands in the parentheses of the attribute.
#[derive(Debug, FromMeta)]
pub(crate) struct Arguments {
    pub(crate) action: LitStr,
    #[darling(default)]
    pub(crate) target: Option<LitStr>,
}

/// Returns the names that the arguments of a function bind, in their order: `self`, `id`, and the `id` of
/// `Path(id)`.
pub(crate) fn bound(signature: &Signature) -> Vec<Ident> {
    struct Names(Vec<Ident>);
    impl<'a> Visit<'a> for Names {
        fn visit_pat_ident(&mut self, pattern: &'a PatIdent) {
            self.0.push(pattern.ident.clone());
            syn::visit::visit_pat_ident(self, pattern);
        }
    }
    let mut names = Names(Vec::new());
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(_) => names.0.push(Ident::new("self", Span::call_site())),
            FnArg::Typed(typed) => names.visit_pat(&typed.pat),
        }
    }
    names.0
}
