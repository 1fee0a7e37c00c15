//! A week of plausible events, so that there is something to look at.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tower_audit::{Actor, AuditEvent, AuditEventBuilder as Builder, Auditor, Outcome, Target};

/// Records the events, and returns how many there are.
pub(crate) async fn record(auditor: &Auditor) -> usize {
    let (mut dice, now) = (Dice(42), Utc::now());
    for n in 0..EVENTS {
        let event = event(&mut dice, now, n);
        // Waits for room: a demo should be whole.
        auditor.record_wait(event).await;
    }
    auditor.flush().await;
    EVENTS
}

const EVENTS: usize = 400;

fn event(dice: &mut Dice, now: DateTime<Utc>, n: usize) -> AuditEvent {
    // More by day than by night, and more lately.
    let age = dice.below(7 * 24 * 60).min(dice.below(7 * 24 * 60));
    let age = TimeDelta::seconds(i64::try_from(age * 60 + dice.below(60)).unwrap_or(0));
    let (resource, verb, method) = *dice.one_of(&ACTIONS);
    let id = dice.below(40) + 1;
    let (status, reason) = *dice.one_of(&ENDS);
    let (actor, address) = who(dice);
    let address = match status {
        401 => format!("203.0.113.{}", dice.below(3) + 7),
        _ => address,
    };
    let is_known = status != 401;
    let actor = if is_known { actor } else { Actor::anonymous() };
    let path = format!("/{resource}s/{id}");
    // What timed out took longer.
    let least = if status >= 500 { 1_500_000 } else { 400 };
    let micros = u64::try_from(dice.below(90_000) + least).unwrap_or(0);
    AuditEvent::builder(
        actor,
        format!("{resource}.{verb}"),
        Target::new(resource, id),
    )
    .created_at(now - age)
    .outcome(Outcome::of_status(status))
    .status(status)
    .maybe(reason, Builder::reason)
    .method(method)
    .route(format!("/{resource}s/{{id}}"))
    .path(path)
    .duration(Duration::from_micros(micros))
    .request_id(format!("demo-{:04}", n / 2))
    .tenant_id(*dice.one_of(&["acme", "acme", "globex", "initech"]))
    .maybe(address.parse().ok(), Builder::ip_address)
    .maybe("10.0.0.2".parse().ok(), Builder::peer_address)
    .user_agent(*dice.one_of(&AGENTS))
    .metadata("plan", *dice.one_of(&["free", "pro", "enterprise"]))
    .metadata("seats", dice.below(50))
    .build()
}

fn who(dice: &mut Dice) -> (Actor, String) {
    let (id, name) = *dice.one_of(&PEOPLE);
    let address = format!("198.51.100.{}", dice.below(20) + 10);
    match dice.below(10) {
        0 => (
            Actor::api_key("key-ci")
                .credential_id("key-ci")
                .auth_method("bearer"),
            "10.1.0.44".to_owned(),
        ),
        1 => (Actor::system(), String::new()),
        2 => (
            Actor::user("support")
                .name("Support")
                .auth_method("oidc")
                .on_behalf_of(id),
            address,
        ),
        _ => (Actor::user(id).name(name).auth_method("oidc"), address),
    }
}

const PEOPLE: [(&str, &str); 6] = [
    ("alice", "Alice Ansel"),
    ("bob", "Bob Brandt"),
    ("carol", "Carol Cheng"),
    ("dave", "Dave Diallo"),
    ("erin", "Erin Engel"),
    ("alice", "Alice Ansel"),
];

const ACTIONS: [(&str, &str, &str); 12] = [
    ("project", "create", "POST"),
    ("project", "update", "PATCH"),
    ("project", "update", "PATCH"),
    ("project", "delete", "DELETE"),
    ("project", "archive", "POST"),
    ("user", "invite", "POST"),
    ("user", "login", "POST"),
    ("user", "login", "POST"),
    ("team", "update", "PUT"),
    ("api_key", "create", "POST"),
    ("api_key", "revoke", "DELETE"),
    ("secret", "read", "GET"),
];

const ENDS: [(u16, Option<&str>); 14] = [
    (200, None),
    (200, None),
    (200, None),
    (201, None),
    (204, None),
    (204, None),
    (200, None),
    (200, None),
    (200, None),
    (200, None),
    (403, Some("not_owner")),
    (401, Some("wrong_password")),
    (409, Some("conflict")),
    (503, Some("timeout")),
];

const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "curl/8.14.1",
    "acme-cli/2.3",
];

/// Numbers that look thrown and are the same each time: a linear congruential generator, after Knuth's MMIX.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
