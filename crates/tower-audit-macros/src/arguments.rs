//! The arguments of a function, and those of the attribute.

use darling::{FromMeta, ast::NestedMeta, util::parse_expr::preserve_str_literal};
use proc_macro2::{Ident, Span, TokenStream};
use syn::{Expr, FnArg, LitStr, PatIdent, Signature, visit::Visit};

/// What stands in the parentheses of the attribute.
#[derive(Debug, FromMeta)]
pub(crate) struct Arguments {
    #[darling(with = preserve_str_literal)]
    pub(crate) action: Expr,
    #[darling(default)]
    pub(crate) target: Option<LitStr>,
}

impl Arguments {
    pub(crate) fn parse(arguments: TokenStream) -> syn::Result<Self> {
        let parsed = NestedMeta::parse_meta_list(arguments).map_err(darling::Error::from);
        let parsed = parsed.and_then(|parsed| Self::from_list(&parsed));
        parsed.map_err(|error| {
            let mut error = syn::Error::from(error);
            let hint = "write `#[audited(action = \"project.archive\", target = \"project:{id}\")]`, or leave the target out";
            error.combine(syn::Error::new(Span::call_site(), hint));
            error
        })
    }
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
