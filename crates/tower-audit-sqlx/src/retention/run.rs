//! A run: takes the lease, goes through the trail, and says what it did.

use chrono::{DateTime, SecondsFormat, Utc};
use tower_audit_core::{
    AuditEvent,
    retention::{RetentionPolicy, RetentionReport},
    store::Count,
};

use super::{
    Database, Lease, Retention, RetentionError, event, floor,
    lease::{self, Asked},
    walk::Walk,
};

/// Runs now.
pub(super) async fn now<S: Database>(
    store: &S,
    retention: &Retention,
) -> Result<RetentionReport, RetentionError> {
    let report = once(store, retention, None).await?;
    // Nobody has run for no time.
    report.ok_or(RetentionError::LeaseLost)
}

/// Runs for this time, unless somebody has.
pub(super) async fn scheduled<S: Database>(
    store: &S,
    retention: &Retention,
    time: DateTime<Utc>,
) -> Result<Option<RetentionReport>, RetentionError> {
    once(store, retention, Some(time)).await
}

async fn once<S: Database>(
    store: &S,
    retention: &Retention,
    time: Option<DateTime<Utc>>,
) -> Result<Option<RetentionReport>, RetentionError> {
    let settings = &retention.settings;
    let asked = Lease::ask(store, &settings.holder, settings.lease, time);
    match asked.await? {
        Asked::Taken(lease) => with(store, retention, &lease, time).await.map(Some),
        Asked::Busy { holder, until } => Err(RetentionError::Busy { holder, until }),
        Asked::Done => Ok(None),
    }
}

/// Runs with the lease, and gives it back.
async fn with<S: Database>(
    store: &S,
    retention: &Retention,
    lease: &Lease,
    scheduled_for: Option<DateTime<Utc>>,
) -> Result<RetentionReport, RetentionError> {
    let Retention {
        policy, settings, ..
    } = retention;
    let (name, _) = store.table_and("");
    let begun = event::begin(settings.actor.clone(), &plain(&name), policy);
    if let Err(error) = begin(store, policy, &begun).await {
        // Nothing was done: whoever comes next need not wait.
        lease.release(store, lease.resume_at, None).await?;
        return Err(error);
    }
    let mut walk = Walk::new(store, retention, Some(lease), lease.taken_at);
    let result = walk.through(lease.resume_at).await;
    let stopped_at = walk.stopped_at;
    let mut report = walk.into_report();
    if let Some(from) = stopped_at {
        report.left = left(store, from, policy.shortest().cutoff(lease.taken_at)).await;
    }
    report.publish();
    let end = event::end(&begun, policy, &report, result.as_ref().err());
    let recorded = store.append(&[end]).await;
    // What failed is tried again.
    let done_for = scheduled_for.filter(|_| result.is_ok());
    let released = lease.release(store, stopped_at, done_for).await;
    result?;
    recorded?;
    released?;
    Ok(report)
}

/// Returns roughly how many rows lie between where a run stopped and where it would have ended; nothing fails because that is not known.
async fn left<S: Database>(
    store: &S,
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
) -> Option<u64> {
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let range = format!("created:{}..{}", text(from), text(until?));
    let count = store.estimate(&range.parse().ok()?).await.ok()?;
    match count {
        Count::Exactly(rows) | Count::About(rows) | Count::AtLeast(rows) => Some(rows),
        _ => None,
    }
}

/// Does what comes before the first row goes.
async fn begin<S: Database>(
    store: &S,
    policy: &RetentionPolicy,
    begun: &AuditEvent,
) -> Result<(), RetentionError> {
    floor::check(store, policy.shortest()).await?;
    store.make_room().await?;
    Ok(store.append(std::slice::from_ref(begun)).await?)
}

/// Returns the name of a table without its quotes.
pub(super) fn plain(quoted: &str) -> String {
    quoted.replace('"', "")
}

/// Says what a run would do.
pub(super) async fn dry<S: Database>(
    store: &S,
    retention: &Retention,
) -> Result<RetentionReport, RetentionError> {
    floor::check(store, retention.policy.shortest()).await?;
    let mut tx = store.begin().await?;
    let now = lease::now(store, &mut tx).await?;
    store.commit(tx).await?;
    let mut walk = Walk::new(store, retention, None, now);
    walk.through(None).await?;
    Ok(walk.into_report())
}
