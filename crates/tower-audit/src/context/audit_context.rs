//! The handle that inner code holds.

use std::{cell::RefCell, fmt, net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use http::{Extensions, HeaderMap};
use serde_json::Value;
use tower_audit_core::{
    Action, Actor, AuditEvent, AuditEventBuilder, EventId, Outcome, Target, Text, catalog::Activity,
};

use super::{
    notes::{Mark, Notes},
    slot::Slot,
};
use crate::{
    annotation::Annotation,
    draft::{Facts, Story},
    identify::AuthFailed,
    layer::Shared,
    mode::Mode,
    route::Template,
};

/// What inner code says about its request; cheap to clone. See the [module page](crate::context).
///
/// In an axum handler it is an extractor; elsewhere [`of`](Self::of) finds it in the request's
/// extensions, and [`current`](Self::current) in the task. Whatever is said last counts; what is
/// said after the request has ended goes nowhere.
#[derive(Clone)]
pub struct AuditContext {
    slot: Arc<Slot>,
}

thread_local! {
    static CURRENT: RefCell<Option<AuditContext>> = const { RefCell::new(None) };
}

/// Puts back what was current before, also when a panic unwinds.
struct Restore(Option<AuditContext>);

impl Drop for Restore {
    fn drop(&mut self) {
        exchange(self.0.take());
    }
}

/// Makes this context the current one, and returns the one before it.
fn exchange(context: Option<AuditContext>) -> Option<AuditContext> {
    // A thread that ends has none.
    CURRENT
        .try_with(|current| {
            Some(std::mem::replace(
                &mut *current.try_borrow_mut().ok()?,
                context,
            ))
        })
        .ok()
        .flatten()
        .flatten()
}

impl AuditContext {
    #[inline]
    pub(crate) fn new(shared: Arc<Shared>, facts: Facts, headers: &HeaderMap) -> Self {
        Self {
            slot: Arc::new(Slot::new(shared, facts, headers)),
        }
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Returns the context of the request that these extensions belong to, if an audit layer is
    /// around it.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        let context = extensions.get::<Self>()?;
        context.note_template(extensions);
        Some(context)
    }

    /// Returns the context of the request that this task is working on, if any.
    ///
    /// A task that the handler spawned has none: clone the context into it.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT
            .try_with(|current| current.try_borrow().ok()?.clone())
            .ok()?
    }

    /// Runs `f` with this context as the current one.
    #[inline]
    pub(crate) fn scope<T>(&self, f: impl FnOnce() -> T) -> T {
        let _restore = Restore(exchange(Some(self.clone())));
        f()
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
        let reason = failed.into_reason();
        self.note(|notes| {
            notes.outcome = Some(Outcome::Denied);
            notes.say().reason = Some(reason);
        });
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
        self.slot.event_id()
    }

    /// Returns when the request arrived.
    #[must_use]
    pub fn arrived_at(&self) -> DateTime<Utc> {
        self.slot.facts.arrived_at()
    }

    /// Returns the address of the client: see [`TrustedProxies`](crate::client::TrustedProxies).
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.slot.facts.client()
    }

    /// Returns the address at the other end of the socket.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.slot.facts.peer()
    }

    /// Returns in which mode a request has to be admitted that turns out to be annotated so, if it was
    /// not admitted before.
    pub(crate) fn admission_of(&self, annotation: &Annotation) -> Option<Mode> {
        if annotation.is_skip() {
            return None;
        }
        let shared = &self.slot.shared;
        let mode = annotation.mode.max(shared.mode);
        let admission = self.slot.admission();
        let needs_room =
            shared.reserves() && admission.permit.is_none() && !admission.was_room_asked_for;
        (mode > admission.mode || needs_room).then_some(mode)
    }

    /// Returns the mode in which the request was admitted.
    pub(crate) fn mode(&self) -> Mode {
        self.slot.admission().mode
    }

    /// Notes what inner code left in the extensions of the response.
    pub(crate) fn note_response(&self, extensions: &Extensions) {
        if let Some(actor) = extensions.get::<Actor>() {
            self.actor(actor.clone());
        }
        if let Some(failed) = extensions.get::<AuthFailed>() {
            self.auth_failed(failed.clone());
        }
    }

    /// Lets an audited function name the request, if none did before.
    pub(crate) fn claim(&self, action: &'static str, target: &Target) -> bool {
        let mut notes = self.slot.notes();
        if notes.is_over || std::mem::replace(&mut notes.is_claimed, true) {
            return false;
        }
        notes.say().action = Some(Action::new(Text::from_static(action)));
        if *target != Target::none() {
            notes.say().to(target.clone());
        }
        notes.mark.get_or_insert(Mark::Record);
        true
    }

    /// Notes how the function ended that named the request.
    pub(crate) fn note_call(&self, outcome: Outcome, reason: Option<Text>) {
        self.note(|notes| {
            notes.failed = Some(outcome).filter(|outcome| *outcome != Outcome::Success);
            // What the function itself said is nearer to what happened.
            if notes.said().reason.is_none() && reason.is_some() {
                notes.say().reason = reason;
            }
        });
    }

    /// Returns an event of something else that was done in this request.
    pub(crate) fn event_within(&self, action: &'static str, target: Target) -> AuditEventBuilder {
        let Slot { shared, facts, .. } = &*self.slot;
        let notes = self.slot.notes();
        let annotation = self.slot.annotation(&notes).map(|known| &**known);
        Story::of(&shared.spares.teller, facts, &notes).within(action, target, annotation)
    }

    pub(crate) fn annotate(&self, annotation: &Arc<Annotation>) {
        self.note(|notes| notes.annotation = Some(Arc::clone(annotation)));
    }

    fn note_template(&self, extensions: &Extensions) {
        if !self.slot.facts.has_template()
            && let Some(template) = Template::of(extensions)
        {
            self.note(|notes| notes.template = Some(template));
        }
    }

    /// Returns the event that says that the request has begun.
    pub(crate) fn pending_event(&self) -> AuditEvent {
        let Slot { shared, facts, .. } = &*self.slot;
        let notes = self.slot.notes();
        let annotation = self.slot.annotation(&notes).cloned();
        Story::of(&shared.spares.teller, facts, &notes).begun(self.event_id(), annotation)
    }

    fn note(&self, note: impl FnOnce(&mut Notes)) {
        let mut notes = self.slot.notes();
        if !notes.is_over {
            note(&mut notes);
        }
    }
}

impl fmt::Debug for AuditContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditContext")
            .field("arrived_at", &self.arrived_at())
            .finish_non_exhaustive()
    }
}
