//! A trail in Postgres.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Row as _};
use tower_audit_core::{EventReader as _, Seek};

use super::{Check, Findings, common};
use crate::postgres::{PgStore, Roles};

pub(super) async fn examine(store: &PgStore, roles: &Roles, findings: &mut Findings) {
    if !connection(store, findings).await {
        return;
    }
    if !common::migrations(store, findings).await {
        return;
    }
    common::drift(store, findings).await;
    if let Err(error) = times(store, findings).await {
        findings.unseen(Check::Table, &error);
    }
    if let Err(error) = privileges(store, roles, findings).await {
        findings.unseen(Check::Privileges, &error);
    }
    partitions(store, findings).await;
    common::pending(store, findings).await;
    common::retention(store.clone().into(), findings).await;
    if let Err(error) = lease(store, findings).await {
        findings.unseen(Check::Retention, &error);
    }
}

/// Looks at the server; returns whether it answers.
async fn connection(store: &PgStore, findings: &mut Findings) -> bool {
    let ours = (Utc::now(), Instant::now());
    let about: sqlx::Result<(i32, bool, DateTime<Utc>)> =
        sqlx::query_as(SERVER).fetch_one(store.pool()).await;
    let (version, is_standby, now) = match about {
        Ok(about) => about,
        Err(error) => {
            findings.problem(
                Check::Connection,
                format!("the database cannot be asked: {error}"),
                "see that it runs and can be reached from here, and that the user may connect",
            );
            return false;
        }
    };
    let said = common::answered(
        &format!("PostgreSQL {}", version / 10_000),
        ours.1.elapsed(),
    );
    if version < 130_000 {
        findings.problem(
            Check::Connection,
            said,
            "move to PostgreSQL 13 or later: the table needs its transaction ids of 64 bits",
        );
    } else if is_standby {
        findings.warning(
            Check::Connection,
            format!("{said}; it is a standby, which can be read and not written"),
            "give services the address of the primary",
        );
    } else {
        findings.fine(Check::Connection, said);
    }
    clock(now, ours, findings);
    true
}

const SERVER: &str = "SELECT current_setting('server_version_num')::int4 AS version, \
     pg_catalog.pg_is_in_recovery() AS standby, clock_timestamp() AS now";

/// Compares a clock with ours: what it said, and between which moments it was asked.
fn clock(theirs: DateTime<Utc>, ours: (DateTime<Utc>, Instant), findings: &mut Findings) {
    let (began, asked) = ours;
    let took = asked.elapsed();
    let between = began + TimeDelta::from_std(took / 2).unwrap_or_default();
    let skew = (theirs - between).abs();
    // As much of it as may be the way to the database and back is not the clocks'.
    let least = skew - TimeDelta::from_std(took).unwrap_or_default();
    let said = format!("{:.3} s from that of this machine", seconds(skew));
    if least > MOST_SKEW {
        findings.problem(
            Check::Clock,
            said,
            "let both keep their time by NTP: the times of rows, leases and retention depend on it",
        );
    } else {
        findings.fine(Check::Clock, said);
    }
}

fn seconds(delta: TimeDelta) -> f64 {
    delta.to_std().unwrap_or_default().as_secs_f64()
}

/// Looks for rows of times that nobody can show: somebody else wrote them.
async fn times(store: &PgStore, findings: &mut Findings) -> sqlx::Result<()> {
    let (schema, table) = store.name();
    let name = format!(r#""{}"."{}""#, schema.as_str(), table.as_str());
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM {name} WHERE created_at >= '10000-01-01T00:00:00Z') \
             OR EXISTS (SELECT 1 FROM {name} WHERE created_at < '0001-01-01T00:00:00Z')"
    );
    let is_there: bool = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(store.pool())
        .await?;
    if is_there {
        findings.problem(
            Check::Table,
            "there are rows of times before the year 1 or after the year 9999, which are shown as of the nearest one",
            "no service writes them: find out who did, and whether that user has to insert by SQL of their own",
        );
    }
    Ok(())
}

/// Looks at the row of the lease, and at what a run left behind.
async fn lease(store: &PgStore, findings: &mut Findings) -> sqlx::Result<()> {
    let (schema, table) = store.name();
    let sql = format!(
        r#"SELECT dropping FROM "{}"."{}_retention""#,
        schema.as_str(),
        table.as_str()
    );
    let lease: Option<Option<String>> = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_optional(store.pool())
        .await?;
    match lease {
        None => findings.problem(
            Check::Retention,
            "the row of the lease is gone, so nobody can delete and the floor is not kept",
            format!(
                "find out who deleted it, then INSERT INTO {}.{}_retention DEFAULT VALUES",
                schema.as_str(),
                table.as_str()
            ),
        ),
        Some(Some(partition)) => findings.warning(
            Check::Retention,
            format!("the partition {partition} was taken out of the table, and not dropped"),
            "run `tower-audit prune` with the same policy: it goes on there",
        ),
        Some(None) => {}
    }
    Ok(())
}

/// Looks at what this user may do, and at the roles, where they are there.
async fn privileges(store: &PgStore, roles: &Roles, findings: &mut Findings) -> sqlx::Result<()> {
    let rows = sqlx::query(AssertSqlSafe(store.privileges_sql(roles)))
        .fetch_all(store.pool())
        .await?;
    let mut seen = 0;
    for row in rows {
        let (role, what): (String, String) = (row.try_get("role")?, row.try_get("what")?);
        let (is_wanted, is_there): (bool, bool) =
            (row.try_get("is_wanted")?, row.try_get("is_there")?);
        seen += 1;
        if is_wanted && !is_there {
            findings.problem(
                Check::Privileges,
                format!("the role {role} may not {what}"),
                "run `tower-audit migrate --roles` as the owner of the table: it grants what is missing",
            );
        } else if is_there && !is_wanted {
            findings.problem(
                Check::Privileges,
                format!("the role {role} may {what}, which it does not need"),
                format!("find out who granted it, and REVOKE it from {role} (or from PUBLIC)"),
            );
        }
    }
    if seen == 0 {
        findings.fine(
            Check::Privileges,
            "the table belongs to none of the roles of tower-audit; `tower-audit migrate --roles` makes them",
        );
    } else if findings.is_fine(Check::Privileges) {
        findings.fine(
            Check::Privileges,
            "the roles may do what they have to, and no more",
        );
    }
    user(store, findings).await
}

/// Says what this user may do.
async fn user(store: &PgStore, findings: &mut Findings) -> sqlx::Result<()> {
    let (schema, table) = store.name();
    let name = format!(r#""{}"."{}""#, schema.as_str(), table.as_str());
    let (user, may_insert, may_read): (String, bool, bool) = sqlx::query_as(USER)
        .bind(&name)
        .fetch_one(store.pool())
        .await?;
    let said = match (may_insert, may_read) {
        (true, true) => format!("{user}, who asks, may write and read"),
        (true, false) => format!("{user}, who asks, may write and not read"),
        (false, true) => format!("{user}, who asks, may read and not write"),
        (false, false) => {
            findings.problem(
                Check::Privileges,
                format!("{user}, who asks, may neither write nor read"),
                format!("GRANT tower_audit_writer (or tower_audit_reader) TO {user}, or grant it INSERT on {name}"),
            );
            return Ok(());
        }
    };
    findings.fine(Check::Privileges, said);
    Ok(())
}

const USER: &str = "SELECT current_user::text, \
     has_schema_privilege(split_part($1::text, '.', 1)::regnamespace, 'USAGE') AND has_any_column_privilege($1::text, 'INSERT'), \
     has_schema_privilege(split_part($1::text, '.', 1)::regnamespace, 'USAGE') AND has_table_privilege($1::text, 'SELECT')";

/// Looks whether there is room for the rows of now and of the next time.
async fn partitions(store: &PgStore, findings: &mut Findings) {
    let now = Utc::now();
    let room = match store.room(now).await {
        Ok(Some(room)) => room,
        Ok(None) => return,
        Err(error) => return findings.unseen(Check::Partitions, &error),
    };
    for (from, until) in &room.missing {
        let said = format!("there is none for {}", span(from, until));
        // What is missing now or in the next days stops writers.
        if *from < now + SOON {
            findings.problem(Check::Partitions, said, MAKE);
        } else {
            findings.warning(Check::Partitions, said, MAKE);
        }
    }
    let dropped = dropped(store).await;
    for (from, until) in &room.holes {
        if dropped.contains(&store.partition_name(*from)) {
            continue;
        }
        findings.warning(
            Check::Partitions,
            format!("there is none for {}, between others", span(from, until)),
            "no run of the retention that can be found dropped it: find out who did; rows of that time, from a spool or an import, \
             make it again",
        );
    }
    if findings.is_fine(Check::Partitions) {
        let until = room.until.map_or_else(
            || "for all time to come".to_owned(),
            |until| format!("up to {}", until.format("%Y-%m-%d")),
        );
        findings.fine(
            Check::Partitions,
            format!("{} of them, {until}", room.partitions),
        );
    }
}

fn span(from: &DateTime<Utc>, until: &DateTime<Utc>) -> String {
    let (from, until) = (from.format("%Y-%m-%d"), until.format("%Y-%m-%d"));
    format!("{from} to {until}")
}

const MAKE: &str = "run `tower-audit partitions create` as the owner of the table, and see why nobody did: `migrate` and each run of \
     the retention make them, too";

/// Returns the partitions that the retention said it dropped.
async fn dropped(store: &PgStore) -> Vec<String> {
    let filter = "action:audit.log.prune".parse().unwrap_or_default();
    let mut events = store.stream(filter, Seek::Newest);
    let mut dropped = Vec::new();
    for _ in 0..RUNS {
        let Ok(Some(event)) = events.next().await else {
            break;
        };
        let named = event.metadata().as_map().get("report");
        let named = named.and_then(|report| report.get("partitions"));
        let named = named.and_then(serde_json::Value::as_array);
        let named = named.into_iter().flatten().filter_map(|name| name.as_str());
        dropped.extend(named.map(str::to_owned));
    }
    dropped
}

/// How many runs of the retention are looked at: three years of daily ones.
const RUNS: usize = 1_100;

const MOST_SKEW: TimeDelta = TimeDelta::seconds(2);

const SOON: TimeDelta = TimeDelta::days(3);
