//! What a search may ask about.

use crate::event::{ActorKind, Outcome};

/// A column of the trail, as a search names it.
///
/// ```
/// use tower_audit_core::search::Field;
///
/// assert_eq!(Field::Ip.key(), "ip");
/// assert_eq!(Field::Ip.column(), "ip_address");
/// assert_eq!(Field::named("ip_address"), Some(Field::Ip));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The identity of the event.
    Id,
    /// When the request arrived.
    Created,
    /// When the store got the event.
    Recorded,
    /// The id of who did it.
    Actor,
    /// What kind of actor did it.
    ActorType,
    /// The name of who did it, as people read it.
    ActorName,
    /// How the actor proved who it is.
    Auth,
    /// The public id of the credential.
    Credential,
    /// Whom the actor stood in for.
    Behalf,
    /// What was done.
    Action,
    /// The id of what it was done to.
    Target,
    /// What kind of thing it was done to.
    TargetType,
    /// How it ended.
    Outcome,
    /// Why it failed.
    Reason,
    /// The HTTP status.
    Status,
    /// The HTTP method.
    Method,
    /// The template that the router matched.
    Route,
    /// The path of the request.
    Path,
    /// The time from the arrival to the response head.
    Duration,
    /// The `x-request-id`.
    Request,
    /// The trace id of the `traceparent`.
    Trace,
    /// The tenant.
    Tenant,
    /// The address of the client.
    Ip,
    /// The address at the other end of the socket.
    Peer,
    /// What the client called itself.
    Agent,
    /// The writer.
    Service,
    /// What the app added.
    Metadata,
    /// What a policy captured.
    Captured,
}

/// What a field holds, and so how it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// An event id.
    Id,
    /// Any text.
    Text,
    /// One of a few words.
    Word,
    /// A number without a unit.
    Number,
    /// A duration, in microseconds.
    Duration,
    /// A moment, in microseconds since 1970.
    Time,
    /// An address of the internet protocol.
    Address,
    /// A JSON object.
    Json,
}

/// What is known of a field: its key, its column, its kind, and what it is, in one line.
struct Facts(Field, &'static str, &'static str, FieldKind, &'static str);

impl Field {
    /// Every field, in the order of the documentation.
    pub const ALL: &'static [Self] = &{
        let mut all = [Self::Id; FACTS.len()];
        let mut n = 0;
        while n < all.len() {
            all[n] = FACTS[n].0;
            n += 1;
        }
        all
    };

    /// Returns the field of this key or column.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let facts = FACTS
            .iter()
            .find(|facts| facts.1 == name || facts.2 == name);
        facts.map(|facts| facts.0)
    }

    /// Returns the name in a search, such as `ip`.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.facts().1
    }

    /// Returns the name of the column, such as `ip_address`.
    #[must_use]
    pub fn column(self) -> &'static str {
        self.facts().2
    }

    /// Returns what the field holds.
    #[must_use]
    pub fn kind(self) -> FieldKind {
        self.facts().3
    }

    /// Returns what the field is, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.facts().4
    }

    /// Returns the words that the field may be, or none if it may be anything.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        match self {
            Self::ActorType => ActorKind::ALL.iter().map(|kind| kind.as_str()).collect(),
            Self::Outcome => Outcome::ALL
                .iter()
                .map(|outcome| outcome.as_str())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Returns whether the field says something about a person that the id of the actor does not:
    /// names, addresses, the user agent, and what was captured.
    #[must_use]
    pub fn is_personal(self) -> bool {
        matches!(
            self,
            Self::ActorName | Self::Ip | Self::Peer | Self::Agent | Self::Captured
        )
    }

    fn facts(self) -> &'static Facts {
        FACTS
            .iter()
            .find(|facts| facts.0 == self)
            .unwrap_or(&FACTS[0])
    }
}

/// Every field once.
const FACTS: &[Facts] = &{
    use FieldKind::{Address, Duration, Id, Json, Number, Text, Time, Word};
    [
        Facts(Field::Actor, "actor", "actor_id", Text, "who did it, by id"),
        Facts(
            Field::ActorType,
            "kind",
            "actor_type",
            Word,
            "what kind of actor",
        ),
        Facts(
            Field::ActorName,
            "name",
            "actor_name",
            Text,
            "who did it, by name",
        ),
        Facts(
            Field::Auth,
            "auth",
            "auth_method",
            Text,
            "how the actor signed in",
        ),
        Facts(
            Field::Credential,
            "credential",
            "credential_id",
            Text,
            "with which credential",
        ),
        Facts(
            Field::Behalf,
            "behalf",
            "on_behalf_of",
            Text,
            "for whom the actor stood in",
        ),
        Facts(Field::Action, "action", "action", Text, "what was done"),
        Facts(Field::Target, "target", "target_id", Text, "to what, by id"),
        Facts(
            Field::TargetType,
            "type",
            "target_type",
            Text,
            "to what kind of thing",
        ),
        Facts(Field::Outcome, "outcome", "outcome", Word, "how it ended"),
        Facts(Field::Reason, "reason", "reason", Text, "why it failed"),
        Facts(
            Field::Created,
            "created",
            "created_at",
            Time,
            "when the request arrived",
        ),
        Facts(
            Field::Recorded,
            "recorded",
            "recorded_at",
            Time,
            "when the store got it",
        ),
        Facts(Field::Ip, "ip", "ip_address", Address, "from which address"),
        Facts(
            Field::Peer,
            "peer",
            "peer_address",
            Address,
            "from which socket",
        ),
        Facts(
            Field::Agent,
            "agent",
            "user_agent",
            Text,
            "with which program",
        ),
        Facts(
            Field::Status,
            "status",
            "status",
            Number,
            "with which HTTP status",
        ),
        Facts(
            Field::Method,
            "method",
            "method",
            Text,
            "by which HTTP method",
        ),
        Facts(Field::Route, "route", "route", Text, "on which route"),
        Facts(Field::Path, "path", "path", Text, "on which path"),
        Facts(
            Field::Duration,
            "duration",
            "duration_us",
            Duration,
            "how long it took",
        ),
        Facts(
            Field::Request,
            "request",
            "request_id",
            Text,
            "in which request",
        ),
        Facts(Field::Trace, "trace", "trace_id", Text, "in which trace"),
        Facts(
            Field::Tenant,
            "tenant",
            "tenant_id",
            Text,
            "in which tenant",
        ),
        Facts(
            Field::Service,
            "service",
            "service",
            Text,
            "recorded by which service",
        ),
        Facts(
            Field::Metadata,
            "meta",
            "metadata",
            Json,
            "what the app added",
        ),
        Facts(
            Field::Captured,
            "captured",
            "captured",
            Json,
            "what was captured",
        ),
        Facts(Field::Id, "id", "id", Id, "the event itself"),
    ]
};
