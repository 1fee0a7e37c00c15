//! Who decides.

use std::pin::Pin;

use http::request::Parts;

use super::{Access, Refusal};

/// Decides who may read the trail, and what of it. It is asked for each request, and again when a live tail goes on.
///
/// A function of the request's head is one; see the [module page](super).
pub trait Authorizer: Send + Sync + 'static {
    /// Returns what whoever sent this request may see.
    ///
    /// # Errors
    ///
    /// Returns why they may see nothing. A panic ends the connection, and nothing is shown.
    fn authorize(&self, head: &Parts) -> impl Future<Output = Result<Access, Refusal>> + Send;
}

impl<F> Authorizer for F
where
    F: Fn(&Parts) -> Result<Access, Refusal> + Send + Sync + 'static,
{
    async fn authorize(&self, head: &Parts) -> Result<Access, Refusal> {
        self(head)
    }
}

/// An [`Authorizer`] whose type is not known.
pub(crate) trait DynAuthorizer: Send + Sync {
    fn authorize<'a>(
        &'a self,
        head: &'a Parts,
    ) -> Pin<Box<dyn Future<Output = Result<Access, Refusal>> + Send + 'a>>;
}

impl<A: Authorizer> DynAuthorizer for A {
    fn authorize<'a>(
        &'a self,
        head: &'a Parts,
    ) -> Pin<Box<dyn Future<Output = Result<Access, Refusal>> + Send + 'a>> {
        Box::pin(Authorizer::authorize(self, head))
    }
}
