//! The handle that inner code holds.

use std::{fmt, net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use http::Extensions;
use serde_json::Value;
use tower_audit_core::{
    Action, Actor, EventId, Outcome, Target, Text, catalog::Activity, changes::ChangeContext,
};

use super::{
    current::Current,
    notes::{Mark, Notes},
    slot::Slot,
};
use crate::identify::AuthFailed;

/// What inner code says about its request; cheap to clone. See the [module page](crate::context).
///
/// In an axum handler it is an extractor; elsewhere [`of`](Self::of) finds it in the request's
/// extensions, and [`current`](Self::current) in the task. Whatever is said last counts; what is
/// said after the request has ended goes nowhere, and so does what is said of a request that the policy
/// [ignores](crate::policy::Rule::ignore). Of that, nothing is known here either.
#[derive(Clone)]
pub struct AuditContext(Of);

#[derive(Clone)]
enum Of {
    Request(Arc<Slot>),
    /// A request that the policy ignores: what is said of it goes nowhere.
    Ignored,
}

static IGNORED: AuditContext = AuditContext(Of::Ignored);

impl AuditContext {
    /// Returns the context of the request that these extensions belong to, if an audit layer is
    /// around it.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        if let Some(context) = extensions.get::<Self>() {
            if let Of::Request(slot) = &context.0 {
                slot.note_template(extensions);
            }
            return Some(context);
        }
        Current::is_ignored().then_some(&IGNORED)
    }

    pub(crate) fn of_slot(slot: Arc<Slot>) -> Self {
        Self(Of::Request(slot))
    }

    /// Returns the slot of the request that these extensions belong to.
    pub(crate) fn slot_of(extensions: &Extensions) -> Option<&Arc<Slot>> {
        match &Self::of(extensions)?.0 {
            Of::Request(slot) => Some(slot),
            Of::Ignored => None,
        }
    }

    /// Returns the context of the request that this task is working on, if any.
    ///
    /// A task that the handler spawned has none: clone the context into it.
    #[must_use]
    pub fn current() -> Option<Self> {
        match Current::get() {
            Current::Nobody => None,
            Current::Request(slot) => Some(Self::of_slot(slot)),
            Current::Ignored => Some(IGNORED.clone()),
        }
    }

    /// Sets who did it. Defaults to what a layer found out, or anonymous.
    pub fn actor(&self, actor: Actor) {
        self.note(|notes| notes.actor = Some(actor));
    }

    /// Sets what was done. Defaults to the annotation or the convention.
    pub fn action(&self, action: impl Into<Action>) {
        let action = action.into();
        self.note(|notes| notes.say().action = Some(action));
    }

    /// Sets what it was done to. Defaults to the annotation or the convention.
    pub fn target(&self, kind: impl Into<Text>, id: impl Into<Text>) {
        self.note(|notes| notes.say().to(Target::new(kind, id)));
    }

    /// Sets what was done and to what, from the [catalog](crate::catalog).
    ///
    /// ```
    /// use tower_audit::{AuditContext, catalog::api_key};
    ///
    /// async fn rotate(audit: AuditContext) {
    ///     audit.did(api_key::rotated("k-1"));
    /// }
    /// # let _ = rotate;
    /// ```
    pub fn did(&self, activity: Activity) {
        let (action, target) = activity.into_parts();
        self.note(|notes| {
            let said = notes.say();
            said.action = Some(action);
            said.to(target);
        });
    }

    /// Sets the id of the target and leaves its kind, as for something that was just created.
    pub fn target_id(&self, id: impl Into<Text>) {
        let id = id.into();
        self.note(|notes| notes.say().target_id = Some(id));
    }

    /// Sets the tenant.
    pub fn tenant(&self, id: impl Into<Text>) {
        let id = id.into();
        self.note(|notes| notes.say().tenant_id = Some(id));
    }

    /// Adds a member to the metadata.
    pub fn metadata(&self, key: impl Into<String>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        self.note(|notes| notes.say().metadata.insert(key, value));
    }

    /// Sets why it failed: a stable code such as `quota_exceeded`, never a secret. It does not
    /// change the outcome.
    pub fn reason(&self, code: impl Into<Text>) {
        let code = code.into();
        self.note(|notes| notes.say().reason = Some(code));
    }

    /// Says that somebody could not prove who they are. The request is [denied](Outcome::Denied), whatever the
    /// status, and who was claimed is part of its reason: it is never the actor, because nobody knows that it
    /// was.
    ///
    /// ```
    /// use tower_audit::{AuditContext, AuthFailed};
    ///
    /// async fn login(audit: AuditContext) {
    ///     audit.auth_failed(AuthFailed::new("wrong_password").claimed("alice"));
    /// }
    /// # let _ = login;
    /// ```
    pub fn auth_failed(&self, failed: AuthFailed) {
        self.note(|notes| notes.auth_failed(failed));
    }

    /// Sets how it ended, where the status does not tell, as in GraphQL. A panic, an error of the
    /// service and a client that left are recorded as what they are.
    pub fn outcome(&self, outcome: Outcome) {
        self.note(|notes| notes.outcome = Some(outcome));
    }

    /// Leaves this request out of the trail. Too late for one in
    /// [`Strict`](crate::Mode::Strict) mode, which is in the trail before its handler runs.
    pub fn skip(&self) {
        self.note(|notes| notes.mark = Some(Mark::Skip));
    }

    /// Records this request even if the policy would not.
    pub fn record(&self) {
        self.note(|notes| notes.mark = Some(Mark::Record));
    }

    /// Returns the id that the event of this request has, if it is recorded: something to show to
    /// the client or to write beside what was changed.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        match &self.0 {
            Of::Request(slot) => slot.event_id(),
            Of::Ignored => EventId::at(Utc::now()),
        }
    }

    /// Returns on whose behalf this request changes rows, as far as is known by now: for a transaction that tells the triggers of
    /// `tower-audit-history`. A tenant or an actor that is set later is not in it.
    ///
    /// It is what `auditor.begin(&pool, &audit)` takes the context for.
    pub fn change_context(&self) -> ChangeContext {
        let Of::Request(slot) = &self.0 else {
            return ChangeContext::new(Actor::anonymous());
        };
        let event = slot.pending_event();
        let context = ChangeContext::new(event.actor().clone()).event_id(event.id());
        let context = match event.request_id() {
            Some(id) => context.request_id(id),
            None => context,
        };
        match event.tenant_id() {
            Some(id) => context.tenant_id(id),
            None => context,
        }
    }

    /// Returns when the request arrived.
    #[must_use]
    pub fn arrived_at(&self) -> DateTime<Utc> {
        match &self.0 {
            Of::Request(slot) => slot.facts.arrived_at(),
            Of::Ignored => Utc::now(),
        }
    }

    /// Returns the address of the client: see [`TrustedProxies`](crate::client::TrustedProxies).
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        match &self.0 {
            Of::Request(slot) => slot.facts.client(),
            Of::Ignored => None,
        }
    }

    /// Returns the address at the other end of the socket.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        match &self.0 {
            Of::Request(slot) => slot.facts.peer(),
            Of::Ignored => None,
        }
    }

    fn note(&self, note: impl FnOnce(&mut Notes)) {
        if let Of::Request(slot) = &self.0 {
            slot.note(note);
        }
    }
}

impl From<&AuditContext> for ChangeContext {
    fn from(context: &AuditContext) -> Self {
        context.change_context()
    }
}

impl fmt::Debug for AuditContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditContext")
            .field("arrived_at", &self.arrived_at())
            .finish_non_exhaustive()
    }
}
