//! Events as a service makes them.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use tower_audit::{Actor, AuditEvent, Outcome, Target};

/// Returns so many events, as those of requests of users, with some metadata.
pub(crate) fn events(count: usize) -> Vec<AuditEvent> {
    (0..count).map(event).collect()
}

fn event(number: usize) -> AuditEvent {
    let address = IpAddr::from(Ipv4Addr::new(
        10,
        0,
        0,
        u8::try_from(number % 250).unwrap_or(0),
    ));
    let actor = Actor::user(number % 1_000)
        .name("Ada Lovelace")
        .auth_method("session");
    AuditEvent::builder(
        actor,
        "project.delete",
        Target::new("project", number % 10_000),
    )
    .outcome(Outcome::Success)
    .status(204)
    .method("DELETE")
    .route("/api/v1/projects/{id}")
    .path(format!("/api/v1/projects/{}", number % 10_000))
    .duration(Duration::from_micros(1_234))
    .ip_address(address)
    .peer_address(address)
    .user_agent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    .request_id("0f8fad5b-d9cb-469f-a165-70867728950e")
    .trace_id("4bf92f3577b34da6a3ce929d0e0e4736")
    .tenant_id("acme")
    .service("projects@1.4.0")
    .metadata("plan", "pro")
    .build()
}
