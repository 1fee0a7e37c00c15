//! What stands in `target = "..."`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, Ident, LitStr, Member};

/// A target: its kind, and the text of its id with what is to be filled in.
#[derive(Debug)]
pub(crate) struct Target {
    kind: String,
    /// The text for `format!`, and its arguments.
    format: String,
    values: Vec<Value>,
    span: Span,
}

/// A value that is filled in: an argument, or a field of one.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) argument: Ident,
    fields: Vec<Member>,
}

impl Target {
    /// Reads `kind`, `kind:text`, `kind:{argument}` and what is made of these.
    pub(crate) fn parse(text: &LitStr) -> syn::Result<Self> {
        let (written, span) = (text.value(), text.span());
        let (kind, id) = written.split_once(':').unwrap_or((&written, ""));
        if kind.is_empty() || kind.contains(['{', '}']) {
            return Err(syn::Error::new(
                span,
                "a target begins with its kind, as in \"project:{id}\"",
            ));
        }
        let mut target = Self {
            kind: kind.to_owned(),
            format: String::new(),
            values: Vec::new(),
            span,
        };
        let mut rest = id;
        while let Some(open) = rest.find(['{', '}']) {
            target.format.push_str(&rest[..open]);
            let inside = rest[open..]
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'));
            let Some((value, after)) = inside else {
                return Err(syn::Error::new(
                    span,
                    "a brace in a target has no other one: write \"project:{id}\"",
                ));
            };
            target.values.push(Value::parse(value.trim(), span)?);
            target.format.push_str("{}");
            rest = after;
        }
        target.format.push_str(rest);
        Ok(target)
    }

    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// Returns the expressions for the kind and the id.
    pub(crate) fn tokens(&self) -> TokenStream {
        let Self {
            kind,
            format,
            values,
            ..
        } = self;
        let values = values.iter().map(Value::tokens);
        quote! { #kind, ::std::format!(#format, #(#values),*) }
    }
}

impl Value {
    fn parse(text: &str, span: Span) -> syn::Result<Self> {
        let none = || {
            let message = format!(
                "{{{text}}} is no argument: write its name, as in {{id}}, or a field of it, as in {{user.id}}"
            );
            syn::Error::new(span, message)
        };
        let mut fields = Vec::new();
        let mut expression: Expr = syn::parse_str(text).map_err(|_| none())?;
        loop {
            match expression {
                Expr::Field(field) => {
                    fields.push(field.member);
                    expression = *field.base;
                }
                Expr::Path(path) => {
                    let mut argument = path.path.get_ident().cloned().ok_or_else(none)?;
                    argument.set_span(span);
                    fields.reverse();
                    return Ok(Self { argument, fields });
                }
                _ => return Err(none()),
            }
        }
    }

    fn tokens(&self) -> TokenStream {
        let Self { argument, fields } = self;
        quote! { #argument #(.#fields)* }
    }
}
