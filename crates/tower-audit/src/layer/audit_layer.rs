//! The layer and what can be set on it.

use std::sync::Arc;

use http::Method;
use tower_audit_core::{Actor, Auditor, MemoryStore};
use tower_layer::Layer;

use super::{AnyBodyLayer, AuditService, CaptureStats, RequestInfo, Shared};
use crate::{
    annotation::Annotation,
    client::{Client, TrustedProxies},
    mode::{Mode, assert_possible, is_possible},
    policy::{Policy, PolicyCell, PolicyError},
    privacy::Redaction,
};

/// [`Layer`] that records one audit event per request; cheap to clone.
///
/// See the [crate page](crate) for an example.
#[derive(Clone, Debug)]
pub struct AuditLayer {
    shared: Arc<Shared>,
}

impl AuditLayer {
    /// Returns a layer with the default policy, which starts the writer: give it a `PgPool`, a
    /// `SqlitePool`, a store of this library, or an [`Auditor`], which has settings of its own and
    /// can be made of any store: `AuditLayer::new(Auditor::new(my_store))`.
    ///
    /// It neither connects nor waits: with a database that is down events wait in the queue.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime, unless it is given an `Auditor`.
    #[must_use]
    #[track_caller]
    pub fn new(auditor: impl IntoAuditor) -> Self {
        Self {
            shared: Arc::new(Shared::new(auditor.into_auditor())),
        }
    }

    /// Annotates a route in the layer's own table. The template is the full one that the router
    /// matched, such as `/api/projects/{id}`.
    ///
    /// The table also names requests that never reach their handler, such as those that an auth
    /// layer refuses, and, on a service without axum's router, requests whose path is of the
    /// template. The last entry for a method and template counts.
    ///
    /// # Panics
    ///
    /// Panics if the template is none, conflicts with another one, or lacks the parameter that the
    /// annotation names as the id of the target, and for [`Mode::Strict`] if the queue is too small for
    /// two events.
    #[must_use]
    #[track_caller]
    pub fn route(mut self, method: Method, template: &str, annotation: Annotation) -> Self {
        let is_strict = annotation.mode == Mode::Strict;
        let shared = Arc::make_mut(&mut self.shared);
        shared.routes.insert(method, template, annotation);
        if is_strict {
            assert_possible(&shared.auditor);
            shared.reap_pending();
        }
        self
    }

    /// Sets how the actor is found from the head of a request, before anything inside runs.
    /// Defaults to nobody: the actor is anonymous unless an inner
    /// [`identify`](crate::identify) layer or the handler says who it is.
    ///
    /// ```
    /// use tower_audit::{Actor, AuditLayer, MemoryStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let layer = AuditLayer::new(MemoryStore::new()).actor(|req| {
    ///     // Only behind a proxy that sets this header itself.
    ///     let user = req.headers().get("x-verified-user")?.to_str().ok()?;
    ///     Some(Actor::user(user))
    /// });
    /// # let _ = layer; }
    /// ```
    #[must_use]
    pub fn actor<F>(mut self, find: F) -> Self
    where
        F: Fn(&RequestInfo<'_>) -> Option<Actor> + Send + Sync + 'static,
    {
        Arc::make_mut(&mut self.shared).actor = Some(Arc::new(find));
        self
    }

    /// Sets whom to believe what a header says of the client's address. Defaults to nobody:
    /// [`TrustedProxies::none`]. See [`client`](crate::client).
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        Arc::make_mut(&mut self.shared).client = Client::new(proxies);
        self
    }

    /// Sets which requests are recorded, how safely, and what is captured of them. Defaults to
    /// [`Policy::mutations_and_denials`]. See [`policy`](crate::policy).
    ///
    /// # Panics
    ///
    /// Panics if a rule has [`Mode::Strict`] and the queue is too small for two events.
    #[must_use]
    #[track_caller]
    pub fn policy(mut self, policy: Policy) -> Self {
        let shared = Arc::make_mut(&mut self.shared);
        if policy.is_strict() {
            assert_possible(&shared.auditor);
            shared.reap_pending();
        }
        shared.policy = Arc::new(PolicyCell::new(policy));
        self
    }

    /// Sets another policy while requests are running: for this layer, its clones, and the services that they
    /// made. Requests that have arrived keep the one that they had.
    ///
    /// ```
    /// use tower_audit::{AuditLayer, MemoryStore, Policy};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = AuditLayer::new(MemoryStore::new());
    /// // ... serve; and when the file of the policy has changed:
    /// let text = r#"
    ///     [[rules]]
    ///     name = "everything, for now"
    ///     then = "record"
    /// "#;
    /// layer.set_policy(toml::from_str(text)?)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`PolicyError::QueueTooSmall`] if a rule has [`Mode::Strict`] and the queue is too small for two
    /// events. The policy is then the one that it was.
    pub fn set_policy(&self, policy: Policy) -> Result<(), PolicyError> {
        if policy.is_strict() {
            if !is_possible(&self.shared.auditor) {
                return Err(PolicyError::QueueTooSmall);
            }
            self.shared.reap_pending();
        }
        self.shared.policy.set(policy);
        Ok(())
    }

    /// Returns the policy of requests that arrive now.
    #[must_use]
    pub fn current_policy(&self) -> Policy {
        self.shared.policy.current()
    }

    /// Sets what is redacted of what is captured. Defaults to [`Redaction::default`], which knows the usual
    /// names of secrets. See [`privacy`](crate::privacy).
    #[must_use]
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        Arc::make_mut(&mut self.shared).set_redaction(redaction);
        self
    }

    /// Sets how many bytes of each body are kept, where a rule asks for it. Defaults to 16 KiB. A request whose
    /// bodies may be captured holds that much memory for each while it runs, or twice that where they come in many
    /// pieces.
    ///
    /// # Panics
    ///
    /// Panics for more than 32 KiB: both bodies have to fit into a row.
    #[must_use]
    #[track_caller]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        assert!(
            bytes <= MAX_BODY_LIMIT,
            "{bytes} bytes of a body do not fit into a row: set the body limit to at most {MAX_BODY_LIMIT}"
        );
        Arc::make_mut(&mut self.shared).body_limit = bytes;
        self
    }

    /// Sets how safe a record is before the client has its answer, for every request that is recorded
    /// however it ends. Defaults to [`Mode::Background`]. An annotation may ask for more, not for less.
    ///
    /// ```
    /// use tower_audit::{AuditLayer, MemoryStore, Mode};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let layer = AuditLayer::new(MemoryStore::new()).mode(Mode::Durable);
    /// # let _ = layer; }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics for [`Mode::Strict`] if the queue is too small for two events: nothing could ever run.
    #[must_use]
    #[track_caller]
    pub fn mode(mut self, mode: Mode) -> Self {
        let shared = Arc::make_mut(&mut self.shared);
        shared.mode = mode;
        if mode == Mode::Strict {
            assert_possible(&shared.auditor);
            shared.reap_pending();
        }
        self
    }

    /// Returns this layer for a service whose response body is of any type, of which it makes an
    /// [`AnyBody`](super::AnyBody). axum needs none of this: its body can hold any other. Where it is missing the
    /// compiler says that the body is no [`AuditBody`](super::AuditBody), or of a method such as `oneshot` that the
    /// bounds of `AuditService` are not satisfied.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use http_body_util::Full;
    /// use tower::{ServiceBuilder, service_fn};
    /// use tower_audit::{AuditLayer, MemoryStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let service = ServiceBuilder::new()
    ///     .layer(AuditLayer::new(MemoryStore::new()).any_body())
    ///     .service(service_fn(async |_: Request<()>| {
    ///         Ok::<_, std::io::Error>(Response::new(Full::<bytes::Bytes>::from("done")))
    ///     }));
    /// # let _ = service; }
    /// ```
    #[must_use]
    pub fn any_body(&self) -> AnyBodyLayer {
        AnyBodyLayer {
            layer: self.clone(),
        }
    }

    /// Returns what was noticed while requests were captured, counted since the layer was made. Clones of
    /// it, and services made by it, count together.
    #[must_use]
    pub fn capture_stats(&self) -> CaptureStats {
        CaptureStats {
            short_chains: self.shared.client.short_chains(),
        }
    }

    /// Returns the auditor that the events go to: to record what is no request, to look at the
    /// counts, and to shut down.
    #[must_use]
    pub fn auditor(&self) -> &Auditor {
        &self.shared.auditor
    }
}

/// Both bodies and the rest fit into the 64 KiB of the column.
const MAX_BODY_LIMIT: usize = 32 * 1024;

impl<S> Layer<S> for AuditLayer {
    type Service = AuditService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuditService {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// What an [`AuditLayer`] can be made of.
///
/// A store of your own is `Auditor::new(store)`.
pub trait IntoAuditor {
    /// Returns the auditor, started.
    fn into_auditor(self) -> Auditor;
}

impl IntoAuditor for Auditor {
    fn into_auditor(self) -> Auditor {
        self
    }
}

impl IntoAuditor for &Auditor {
    fn into_auditor(self) -> Auditor {
        self.clone()
    }
}

impl IntoAuditor for MemoryStore {
    #[track_caller]
    fn into_auditor(self) -> Auditor {
        Auditor::new(self)
    }
}

#[cfg(feature = "postgres")]
impl IntoAuditor for sqlx::PgPool {
    #[track_caller]
    fn into_auditor(self) -> Auditor {
        Auditor::new(tower_audit_sqlx::PgStore::new(self))
    }
}

#[cfg(feature = "postgres")]
impl IntoAuditor for tower_audit_sqlx::PgStore {
    #[track_caller]
    fn into_auditor(self) -> Auditor {
        Auditor::new(self)
    }
}

#[cfg(feature = "sqlite")]
impl IntoAuditor for sqlx::SqlitePool {
    #[track_caller]
    fn into_auditor(self) -> Auditor {
        Auditor::new(tower_audit_sqlx::SqliteStore::new(self))
    }
}

#[cfg(feature = "sqlite")]
impl IntoAuditor for tower_audit_sqlx::SqliteStore {
    #[track_caller]
    fn into_auditor(self) -> Auditor {
        Auditor::new(self)
    }
}
