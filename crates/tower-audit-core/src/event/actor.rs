//! Who did it.

use super::{
    Text,
    text::MAX_ID,
    words::{MAX_WORD, words},
};

words! {
    /// What kind of actor did it.
    ActorKind, ParseActorKindError, "an actor kind is `user`, `system`, `api_key` or `anonymous`" {
        /// A person who signed in.
        User = "user",
        /// The service itself: a job, a migration, a timer. Its id is always `system`.
        System = "system",
        /// A program with a key of its own.
        ApiKey = "api_key",
        /// Nobody that the service knows. Its id is always `anonymous`.
        Anonymous = "anonymous",
    }
}

/// Who did it.
///
/// ```
/// use tower_audit_core::{Actor, ActorKind};
///
/// let actor = Actor::user(42).name("Alice").auth_method("oidc").on_behalf_of("bob");
/// assert_eq!(actor.kind(), ActorKind::User);
/// assert_eq!(actor.id(), "42");
/// assert_eq!(Actor::anonymous().id(), "anonymous");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    kind: ActorKind,
    id: Text,
    name: Option<Text>,
    auth_method: Option<Text>,
    credential_id: Option<Text>,
    on_behalf_of: Option<Text>,
    /// On its way to the event.
    tenant: Option<Text>,
}

impl Actor {
    /// Returns the user with this id. Ids are cut to 512 bytes.
    #[must_use]
    pub fn user(id: impl Into<Text>) -> Self {
        Self::of(ActorKind::User, id.into())
    }

    /// Returns the API key with this id: its public id, never the secret.
    #[must_use]
    pub fn api_key(id: impl Into<Text>) -> Self {
        Self::of(ActorKind::ApiKey, id.into())
    }

    /// Returns the service itself, for jobs and timers.
    #[must_use]
    pub fn system() -> Self {
        Self::of(ActorKind::System, Text::default())
    }

    /// Returns the actor that nobody knows.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::of(ActorKind::Anonymous, Text::default())
    }

    /// Returns an actor of this kind. The id of a system or an anonymous actor is fixed, so `id`
    /// is ignored for those two.
    #[must_use]
    pub fn new(kind: ActorKind, id: impl Into<Text>) -> Self {
        Self::of(kind, id.into())
    }

    fn of(kind: ActorKind, id: Text) -> Self {
        let id = match kind {
            ActorKind::System | ActorKind::Anonymous => Text::from_static(kind.as_str()),
            ActorKind::User | ActorKind::ApiKey => id.cap(MAX_ID),
        };
        Self {
            kind,
            id,
            name: None,
            auth_method: None,
            credential_id: None,
            on_behalf_of: None,
            tenant: None,
        }
    }

    /// Sets the name that a person reads. Defaults to none.
    #[must_use]
    pub fn name(mut self, name: impl Into<Text>) -> Self {
        self.name = Some(name.into().cap(MAX_ID));
        self
    }

    /// Sets how the actor proved who it is: `password`, `oidc`, `mtls`. Defaults to none.
    #[must_use]
    pub fn auth_method(mut self, method: impl Into<Text>) -> Self {
        self.auth_method = Some(method.into().cap(MAX_WORD));
        self
    }

    /// Sets the public id of the credential, such as a key id. Never the secret itself, and of a session only
    /// a hash of its id (`tower_audit::privacy::hashed`): who knows the id can take the session over. Defaults to
    /// none.
    #[must_use]
    pub fn credential_id(mut self, id: impl Into<Text>) -> Self {
        self.credential_id = Some(id.into().cap(MAX_ID));
        self
    }

    /// Sets whom the actor stood in for, as when support impersonates a customer. Defaults to
    /// none.
    #[must_use]
    pub fn on_behalf_of(mut self, id: impl Into<Text>) -> Self {
        self.on_behalf_of = Some(id.into().cap(MAX_ID));
        self
    }

    /// Sets the tenant in which the actor acts. It becomes that of the event, unless the event names one
    /// itself. Defaults to none.
    #[must_use]
    pub fn tenant(mut self, id: impl Into<Text>) -> Self {
        self.tenant = Some(id.into().cap(MAX_ID));
        self
    }

    /// Calls the setter if there is a value.
    #[must_use]
    pub fn maybe<T>(self, value: Option<T>, set: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ActorKind {
        self.kind
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Returns the name, if one is known.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        self.name.as_ref().map(Text::as_str)
    }

    /// Returns how the actor proved who it is, if known.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.auth_method.as_ref().map(Text::as_str)
    }

    /// Returns the public id of the credential, if known.
    #[must_use]
    pub fn credential(&self) -> Option<&str> {
        self.credential_id.as_ref().map(Text::as_str)
    }

    /// Returns whom the actor stood in for, if anybody.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.on_behalf_of.as_ref().map(Text::as_str)
    }

    /// Returns the tenant in which the actor acts. The actor of an event has none: the event has it.
    #[must_use]
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant.as_ref().map(Text::as_str)
    }

    /// Takes the tenant away.
    pub(super) fn take_tenant(&mut self) -> Option<Text> {
        self.tenant.take()
    }

    /// Returns how many bytes its texts take beside itself.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        let optional = [
            &self.name,
            &self.auth_method,
            &self.credential_id,
            &self.on_behalf_of,
        ];
        self.id.heap_size()
            + optional
                .into_iter()
                .flatten()
                .map(Text::heap_size)
                .sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_actor_has_no_other_id() {
        assert_eq!(Actor::new(ActorKind::System, "root").id(), "system");
    }

    #[test]
    fn an_id_is_cut_to_512_bytes() {
        // One byte less than the limit: a character is not divided.
        assert_eq!(Actor::user("é".repeat(400)).id().len(), 511);
    }
}
