//! The attribute `#[audited]` of [tower-audit](https://docs.rs/tower-audit), which documents it. Use it from there.

mod arguments;
mod expand;
mod target;

use proc_macro::TokenStream;

/// Records what an async function does.
///
/// ```
/// use tower_audit::audited;
///
/// #[audited(action = "project.archive", target = "project:{id}")]
/// async fn archive(id: u64) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// # let _ = archive;
/// ```
///
/// See the page of `tower_audit::call`.
#[proc_macro_attribute]
pub fn audited(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::audited(arguments.into(), &item.into()).into()
}
