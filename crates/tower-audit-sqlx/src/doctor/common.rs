//! What is looked at in the same way in every database.

use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta, Utc};
use tower_audit_core::{EventReader, Filter, PageSize, Seek, StoreError};

use super::{Check, Findings};
use crate::{
    any::AnyStore,
    migrate::{Drift, Migrate, MigrateError},
    retention::{Holds, RetentionError, floor},
};

/// Looks at the migrations; returns whether there is a table.
pub(super) async fn migrations(store: &impl Migrate, findings: &mut Findings) -> bool {
    let there = match store.migration_status().await {
        Ok(there) => there,
        Err(error) => {
            findings.unseen(Check::Migrations, &error);
            return true;
        }
    };
    let missing: Vec<_> = there
        .iter()
        .filter(|migration| migration.applied_at.is_none())
        .map(|migration| format!("{} ({})", migration.version, migration.description))
        .collect();
    if missing.is_empty() {
        findings.fine(Check::Migrations, format!("all {} were run", there.len()));
    } else {
        findings.problem(
            Check::Migrations,
            format!("missing: {}", missing.join(", ")),
            "run `tower-audit migrate`, or give a DBA what `tower-audit migrate --print` says",
        );
    }
    missing.len() < there.len()
}

/// Looks for what is other than the migrations make it.
pub(super) async fn drift(store: &impl Migrate, findings: &mut Findings) {
    let drift = match store.drift().await {
        Ok(drift) => drift,
        Err(MigrateError::NoTable) => {
            return findings.problem(
                Check::Table,
                "there is no table, and the books say that there is",
                "restore it from a backup",
            );
        }
        Err(error) => return findings.unseen(Check::Table, &error),
    };
    for drift in &drift {
        one(drift, findings);
    }
    for (check, well) in [
        (
            Check::Table,
            "columns, constraints and functions are as the migrations make them",
        ),
        (Check::Indexes, "all are there, and can be used"),
        (Check::Triggers, "all are there, and on"),
    ] {
        if findings.is_fine(check) {
            findings.fine(check, well);
        }
    }
}

fn one(drift: &Drift, findings: &mut Findings) {
    let said = drift.to_string();
    let check = match drift.object.split(' ').next() {
        Some("index") => Check::Indexes,
        Some("trigger") => Check::Triggers,
        _ => Check::Table,
    };
    if drift.is_addition() {
        let definition = drift.found.as_deref().unwrap_or_default();
        let is_required = definition.contains("NOT NULL") && !definition.contains("DEFAULT");
        let kind = drift.object.split(' ').next();
        if is_required || (kind == Some("rule") && definition == "ON INSERT") {
            return findings.problem(
                check,
                said,
                "events are not written because of it: take it away, or give the column a default",
            );
        }
        // What is run for each row, or refuses some.
        if matches!(kind, Some("rule" | "trigger" | "constraint")) {
            return findings.warning(
                check,
                said,
                "see that it keeps no event from being written, and changes none: what it does is not ours",
            );
        }
        return findings.fine(check, said);
    }
    let to_do = match (check, &drift.expected) {
        (Check::Indexes, Some(definition)) => format!(
            "make it again (in Postgres best with CREATE INDEX CONCURRENTLY, after DROP INDEX if it is invalid): {definition}"
        ),
        (Check::Triggers, _) => "somebody can change or delete rows: find out who did this and what was changed, then enable the trigger \
             or make it again; `tower-audit migrate --print` on an empty database says how"
            .to_owned(),
        _ => "find out who changed it, and change it back; `tower-audit migrate --print` on an empty database says how it was"
            .to_owned(),
    };
    findings.problem(check, said, to_do);
}

/// Looks for rows that nobody has completed.
pub(super) async fn pending(store: &impl EventReader, findings: &mut Findings) {
    let until = Utc::now() - TimeDelta::hours(1);
    let search = format!(
        "outcome:pending created:..{}",
        until.to_rfc3339_opts(SecondsFormat::Secs, true)
    );
    let found = match Filter::parse(&search, Utc::now()) {
        Ok(filter) => store.page(&filter, Seek::Newest, PageSize::MAX).await,
        Err(error) => Err(StoreError::Rejected(Box::new(error))),
    };
    match found {
        Ok(page) if page.events.is_empty() => {
            findings.fine(Check::Pending, "none is older than an hour");
        }
        Ok(page) => {
            let more = if page.older.is_some() {
                "at least "
            } else {
                ""
            };
            findings.warning(
                Check::Pending,
                format!("{more}{} are older than an hour", page.events.len()),
                "requests that began were never seen to end: look for replicas that were killed; a running service gives its \
                 pending rows up after a while (`pending_timeout`), so one has to be running",
            );
        }
        Err(error) => findings.unseen(Check::Pending, &error),
    }
}

/// Looks at the holds, and at what retention left behind.
pub(super) async fn retention(store: AnyStore, findings: &mut Findings) {
    let holds = Holds::new(store.clone());
    match holds.list().await {
        Ok(holds) => findings.fine(
            Check::Retention,
            format!("{} legal holds, all readable", holds.len()),
        ),
        Err(error @ RetentionError::Hold { .. }) => findings.problem(
            Check::Retention,
            format!("{error}: nothing is deleted meanwhile"),
            "release it, and place one that can be read",
        ),
        Err(error) => return findings.unseen(Check::Retention, &error),
    }
    match floor(store).await {
        Ok(floor) => findings.fine(
            Check::Retention,
            format!("nothing younger than {floor} can be deleted"),
        ),
        Err(error) => findings.unseen(Check::Retention, &error),
    }
}

/// Says how quick the database was.
pub(super) fn answered(what: &str, took: Duration) -> String {
    format!("{what}, answered in {:.1} ms", took.as_secs_f64() * 1_000.0)
}
