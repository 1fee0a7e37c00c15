//! A trail in memory, and what can be asserted of it.

use std::{fmt, net::IpAddr, ops::Deref};

use serde_json::Value;
use tower_audit_core::{Actor, AuditEvent, Auditor, MemoryStore, Outcome};

use crate::layer::AuditLayer;

/// A trail in memory, for one test. Clones share it.
#[derive(Clone, Debug)]
pub struct Trail {
    store: MemoryStore,
    auditor: Auditor,
}

impl Trail {
    /// Returns an empty trail.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let store = MemoryStore::new();
        Self {
            auditor: Auditor::new(store.clone()),
            store,
        }
    }

    /// Returns a layer that records to this trail. Set on it what the service sets.
    #[must_use]
    pub fn layer(&self) -> AuditLayer {
        AuditLayer::new(&self.auditor)
    }

    /// Returns the auditor of this trail, for what is recorded outside of requests.
    #[must_use]
    pub fn auditor(&self) -> &Auditor {
        &self.auditor
    }

    /// Returns what was recorded so far, oldest first.
    ///
    /// A request is recorded when the body of its response has ended, or was dropped.
    pub async fn events(&self) -> Events {
        self.auditor.flush().await;
        Events(self.store.events())
    }
}

impl Default for Trail {
    fn default() -> Self {
        Self::new()
    }
}

/// What was recorded, oldest first. It is a slice of [`AuditEvent`], too.
#[derive(Clone, Debug)]
pub struct Events(Vec<AuditEvent>);

#[expect(
    clippy::must_use_candidate,
    reason = "an assertion is not made for what it returns"
)]
impl Events {
    /// Asserts that exactly one event has this action, and returns it for more assertions.
    ///
    /// # Panics
    ///
    /// Panics if there is none or more than one, and shows all that there are.
    #[track_caller]
    pub fn assert_audited(&self, action: &str) -> Audited<'_> {
        let mut found = self.0.iter().filter(|event| event.action() == action);
        match (found.next(), found.count()) {
            (Some(event), 0) => Audited { event },
            (None, _) => panic!("`{action}` was not audited; {self}"),
            (Some(_), more) => panic!("`{action}` was audited {} times; {self}", more + 1),
        }
    }

    /// Asserts that no event has this action.
    ///
    /// # Panics
    ///
    /// Panics if there is one.
    #[track_caller]
    pub fn assert_not_audited(&self, action: &str) {
        let found = self.0.iter().any(|event| event.action() == action);
        assert!(!found, "`{action}` was audited; {self}");
    }

    /// Asserts that there are no events at all.
    ///
    /// # Panics
    ///
    /// Panics if there is one.
    #[track_caller]
    pub fn assert_empty(&self) {
        assert!(self.0.is_empty(), "something was audited; {self}");
    }

    /// Asserts that this text is in none of the events, whichever field it might be in.
    ///
    /// # Panics
    ///
    /// Panics if it is. It does not show the text.
    #[track_caller]
    pub fn assert_without(&self, secret: &str) {
        // As it would stand in JSON, without the quotes around it.
        let secret = Value::from(secret).to_string();
        let secret = secret.trim_matches('"');
        for event in &self.0 {
            let text = serde_json::to_string(event).unwrap_or_default();
            assert!(
                !text.contains(secret),
                "the secret is in the event {} of `{}`",
                event.id(),
                event.action()
            );
        }
    }
}

impl Deref for Events {
    type Target = [AuditEvent];

    fn deref(&self) -> &[AuditEvent] {
        &self.0
    }
}

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing was");
        }
        f.write_str("these were:")?;
        for event in &self.0 {
            let target = event.target();
            write!(
                f,
                "\n  {} on {} {:?} by {} {:?}: {}",
                event.action(),
                target.kind(),
                target.id(),
                event.actor().kind(),
                event.actor().id(),
                event.outcome()
            )?;
            if let Some(status) = event.status() {
                write!(f, ", status {status}")?;
            }
            if let Some(reason) = event.reason() {
                write!(f, ", reason {reason:?}")?;
            }
        }
        Ok(())
    }
}

/// An event that was recorded. Each method asserts one thing of it, and panics with both sides if it is not so.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'a> {
    event: &'a AuditEvent,
}

#[expect(
    clippy::must_use_candidate,
    reason = "an assertion is not made for what it returns"
)]
impl<'a> Audited<'a> {
    /// Asserts who did it: the kind and the id.
    ///
    /// # Panics
    ///
    /// Panics if it was somebody else.
    #[track_caller]
    pub fn by(&self, actor: &Actor) -> &Self {
        let who = |actor: &Actor| format!("{} {:?}", actor.kind(), actor.id());
        self.check("actor", &who(self.event.actor()), &who(actor))
    }

    /// Asserts what it was done to.
    ///
    /// # Panics
    ///
    /// Panics if it was something else.
    #[track_caller]
    pub fn on(&self, kind: &str, id: &str) -> &Self {
        let target = self.event.target();
        self.check("target", &(target.kind(), target.id()), &(kind, id))
    }

    /// Asserts how it ended.
    ///
    /// # Panics
    ///
    /// Panics if it ended otherwise.
    #[track_caller]
    pub fn outcome(&self, outcome: Outcome) -> &Self {
        self.check("outcome", &self.event.outcome(), &outcome)
    }

    /// Asserts the status.
    ///
    /// # Panics
    ///
    /// Panics if it was another one, or none.
    #[track_caller]
    pub fn status(&self, status: u16) -> &Self {
        self.check("status", &self.event.status(), &Some(status))
    }

    /// Asserts why it failed.
    ///
    /// # Panics
    ///
    /// Panics if the reason is another one, or none.
    #[track_caller]
    pub fn reason(&self, code: &str) -> &Self {
        self.check("reason", &self.event.reason(), &Some(code))
    }

    /// Asserts the tenant.
    ///
    /// # Panics
    ///
    /// Panics if it is another one, or none.
    #[track_caller]
    pub fn tenant(&self, id: &str) -> &Self {
        self.check("tenant", &self.event.tenant_id(), &Some(id))
    }

    /// Asserts the address of the client.
    ///
    /// # Panics
    ///
    /// Panics if it is another one, or none.
    #[track_caller]
    pub fn client(&self, address: IpAddr) -> &Self {
        self.check("client", &self.event.ip_address(), &Some(address))
    }

    /// Asserts a member of the metadata.
    ///
    /// # Panics
    ///
    /// Panics if it is another one, or none.
    #[track_caller]
    pub fn metadata(&self, key: &str, value: impl Into<Value>) -> &Self {
        let found = self.event.metadata().get(key);
        self.check(&format!("metadata {key:?}"), &found, &Some(&value.into()))
    }

    /// Returns the event.
    #[must_use]
    pub fn event(&self) -> &'a AuditEvent {
        self.event
    }

    #[track_caller]
    fn check<T: PartialEq + fmt::Debug>(&self, what: &str, is: &T, wanted: &T) -> &Self {
        assert!(
            is == wanted,
            "the {what} of `{}` is {is:?}, not {wanted:?}",
            self.event.action()
        );
        self
    }
}
