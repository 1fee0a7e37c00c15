//! The binary format of COPY, by hand: what a store could be at best.
//!
//! See <https://www.postgresql.org/docs/15/sql-copy.html>, "Binary Format".

use std::net::IpAddr;

use tower_audit::AuditEvent;

/// The columns, in the order of [`encode`].
pub(crate) const COLUMNS: &str = "id, actor_id, actor_type, action, target_type, target_id, metadata, ip_address, \
     user_agent, created_at, outcome, reason, status, method, route, path, duration_us, request_id, trace_id, \
     tenant_id, actor_name, auth_method, credential_id, on_behalf_of, peer_address, service, captured";

/// Returns the rows as one COPY takes them.
pub(crate) fn encode(events: &[AuditEvent]) -> Vec<u8> {
    let mut out = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for event in events {
        row(&mut out, event);
    }
    out.extend((-1_i16).to_be_bytes());
    out
}

fn row(out: &mut Vec<u8>, event: &AuditEvent) {
    let (actor, target) = (event.actor(), event.target());
    out.extend(27_i16.to_be_bytes());
    field(out, Some(event.id().as_uuid().as_bytes()));
    text(out, Some(actor.id()));
    text(out, Some(actor.kind().as_str()));
    text(out, Some(event.action()));
    text(out, Some(target.kind()));
    text(out, Some(target.id()));
    json(
        out,
        &serde_json::to_string(event.metadata()).unwrap_or_default(),
    );
    address(out, event.ip_address());
    text(out, event.user_agent());
    let micros = event.created_at().timestamp_micros() - MICROS_TO_2000;
    field(out, Some(&micros.to_be_bytes()));
    text(out, Some(event.outcome().as_str()));
    text(out, event.reason());
    let status = event.status().and_then(|status| i16::try_from(status).ok());
    field(
        out,
        status
            .map(i16::to_be_bytes)
            .as_ref()
            .map(|status| &status[..]),
    );
    text(out, event.method());
    text(out, event.route());
    text(out, event.path());
    let duration = event
        .duration()
        .and_then(|time| i64::try_from(time.as_micros()).ok());
    field(
        out,
        duration
            .map(i64::to_be_bytes)
            .as_ref()
            .map(|time| &time[..]),
    );
    for part in [
        event.request_id(),
        event.trace_id(),
        event.tenant_id(),
        actor.display_name(),
        actor.method(),
        actor.credential(),
        actor.principal(),
    ] {
        text(out, part);
    }
    address(out, event.peer_address());
    text(out, event.service());
    text(out, None);
}

fn text(out: &mut Vec<u8>, text: Option<&str>) {
    field(out, text.map(str::as_bytes));
}

fn json(out: &mut Vec<u8>, json: &str) {
    let with_version: Vec<u8> = [1].into_iter().chain(json.bytes()).collect();
    field(out, Some(&with_version));
}

fn address(out: &mut Vec<u8>, address: Option<IpAddr>) {
    // The family, the bits of the mask, whether it is a network, and the length.
    let encoded = address.map(|address| match address {
        IpAddr::V4(v4) => [&[2, 32, 0, 4][..], &v4.octets()].concat(),
        IpAddr::V6(v6) => [&[3, 128, 0, 16][..], &v6.octets()].concat(),
    });
    field(out, encoded.as_deref());
}

fn field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap_or(i32::MAX));
    out.extend(length.to_be_bytes());
    out.extend(value.unwrap_or_default());
}

/// From 1970 to 2000, where Postgres begins to count.
const MICROS_TO_2000: i64 = 946_684_800_000_000;
