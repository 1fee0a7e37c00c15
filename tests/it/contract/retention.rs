//! What every store forgets, written once. What is right is what plain code says of the same events.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tower_audit::{
    Actor, AnyStore, AuditEvent, EventId, EventReader, EventWriter, Filter, Outcome, PageSize,
    Seek, Target,
    retention::{
        Hold, Holds, Keep, Retention, RetentionError, RetentionPolicy, RetentionReport, floor,
        set_floor,
    },
};

use crate::support::soon;

macro_rules! mount_retention {
    ($fresh:path, $store:expr) => {
        mod retention {
            use super::*;

            $crate::contract::retention::retention_tests!($fresh, $store =>
                what_is_due_goes_and_nothing_else,
                a_dry_run_says_what_would_go_and_leaves_it,
                what_is_held_stays_until_the_hold_is_released,
                events_of_one_moment_go_whatever_the_size_of_a_batch,
                a_run_whose_time_is_over_says_so_and_the_next_one_goes_on,
                a_run_is_an_event_of_the_trail_with_what_it_did,
                somebody_else_is_told_who_has_the_lease,
                a_run_whose_lease_was_taken_deletes_no_more,
                one_of_many_runs_for_a_time,
                a_policy_that_keeps_everything_deletes_nothing,
                a_hold_that_cannot_be_read_keeps_everything,
                nothing_under_the_floor_goes_whatever_the_policy_says,
                holds_are_placed_once_and_released_once_and_both_are_events,
                a_hold_of_everything_or_without_a_reason_is_refused,
            );
        }
    };
}

macro_rules! retention_tests {
    ($fresh:path, $store:expr => $($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            let database = $fresh().await;
            $crate::contract::retention::$name($store(&database)).await;
        }
    )*};
}

pub(crate) use {mount_retention, retention_tests};

/// A store of which old events can be deleted.
pub(crate) trait Store: EventWriter + EventReader + RawSql + Clone + Into<AnyStore> {}

impl<S: EventWriter + EventReader + RawSql + Clone + Into<AnyStore>> Store for S {}

/// Statements that no user of the library runs.
pub(crate) trait RawSql {
    /// Runs a statement with `{table}`, in the dialect of the database.
    fn raw(&self, sql: &str) -> impl Future<Output = ()> + Send;
}

impl RawSql for tower_audit::PgStore {
    async fn raw(&self, sql: &str) {
        let sql = sql.replace("{table}", "control_plane.audit_logs");
        let sql = sql
            .replace("{now}", "now()")
            .replace("{far}", "'2100-01-01'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(self.pool())
            .await
            .unwrap();
    }
}

impl RawSql for tower_audit::SqliteStore {
    async fn raw(&self, sql: &str) {
        let sql = sql.replace("{table}", "audit_logs");
        let sql = sql
            .replace("{now}", "0")
            .replace("{far}", "4102444800000000");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(self.pool())
            .await
            .unwrap();
    }
}

/// An event of so many hours ago, of one of a few kinds.
fn old(hours: i64, kind: i64) -> AuditEvent {
    let pick = |from: &[&'static str]| from[usize::try_from(kind).unwrap() % from.len()];
    let actor = Actor::user(pick(&["alice", "bob", "carol", "dave", "eve"]));
    let action = pick(&["session.create", "project.update", "session.delete"]);
    let event = AuditEvent::builder(
        actor,
        action,
        Target::new(pick(&["session", "project"]), kind),
    )
    .created_at(Utc::now() - TimeDelta::hours(hours))
    .outcome(if kind % 4 == 0 {
        Outcome::Denied
    } else {
        Outcome::Success
    })
    .ip_address(std::net::IpAddr::from([
        10,
        0,
        u8::try_from(kind % 3).unwrap(),
        1,
    ]))
    .metadata("plan", pick(&["free", "pro"]));
    match kind % 3 {
        0 => event.build(),
        kind => event
            .tenant_id(["acme", "umbrella"][usize::try_from(kind % 2).unwrap()])
            .build(),
    }
}

/// Three hundred events over the last 300 days.
fn trail() -> Vec<AuditEvent> {
    (0..300).map(|n| old(n * 24 + 1, n * 7 % 60)).collect()
}

fn policies() -> Vec<RetentionPolicy> {
    let policy = RetentionPolicy::builder;
    [
        policy().default_keep(Keep::days(100)),
        policy()
            .rule("tenant:acme outcome:denied", Keep::Forever)
            .rule("action:session.*", Keep::days(90))
            .rule("-tenant:*", Keep::days(200))
            .default_keep(Keep::days(150)),
        policy()
            .rule("type:session -outcome:denied", Keep::days(60))
            .rule("actor:alice,bob", Keep::days(31))
            .default_keep(Keep::Forever),
        policy()
            .rule("ip:10.0.1.0/24", Keep::days(40))
            .rule("meta.plan:pro", Keep::days(250))
            .rule("meta:{\"plan\": \"free\"}", Keep::days(50)),
    ]
    .map(|policy| policy.build().unwrap())
    .to_vec()
}

fn of(store: &impl Store, policy: RetentionPolicy) -> Retention {
    let retention = Retention::builder(policy).pause(Duration::ZERO).batch(37);
    retention.build(store.clone())
}

fn days(days: u32) -> RetentionPolicy {
    let policy = RetentionPolicy::builder().default_keep(Keep::days(days));
    policy.build().unwrap()
}

fn ids<'a>(events: impl IntoIterator<Item = &'a AuditEvent>) -> BTreeSet<EventId> {
    events.into_iter().map(AuditEvent::id).collect()
}

/// Returns everything that is there, but for what the retention says of itself.
async fn there(store: &impl EventReader) -> Vec<AuditEvent> {
    let (mut found, mut events) = (
        Vec::new(),
        store.stream("-action:audit.*".parse().unwrap(), Seek::Newest),
    );
    while let Some(event) = events.next().await.unwrap() {
        found.push(event);
    }
    found
}

async fn events_of(store: &impl EventReader, action: &str) -> Vec<AuditEvent> {
    let filter = Filter::new().action(action);
    let page = store.page(&filter, Seek::Newest, PageSize::MAX);
    page.await.unwrap().events
}

fn due(
    events: &[AuditEvent],
    policy: &RetentionPolicy,
    holds: &[Hold],
    report: &RetentionReport,
) -> BTreeSet<EventId> {
    let due = |event: &&AuditEvent| policy.is_due(event, holds, report.as_of);
    ids(events.iter().filter(due))
}

pub(crate) async fn what_is_due_goes_and_nothing_else(store: impl Store) {
    let holds = Holds::new(store.clone());
    holds
        .place(
            "case",
            "target:7,14 actor:carol".parse().unwrap(),
            "case 114",
        )
        .await
        .unwrap();
    let placed = holds.list().await.unwrap();
    for policy in policies() {
        store.append(&trail()).await.unwrap();
        let before = there(&store).await;
        let report = of(&store, policy.clone()).run().await.unwrap();
        let due = due(&before, &policy, &placed, &report);
        assert!(due.len() > 20, "{due:?}");
        let stays: BTreeSet<EventId> = ids(&before).difference(&due).copied().collect();
        assert_eq!(ids(&there(&store).await), stays, "{policy:?}");
        assert_eq!(
            report.deleted - report.dropped,
            report.rules.iter().map(|rule| rule.deleted).sum::<u64>()
        );
        if report.partitions.is_empty() {
            assert_eq!(report.deleted, u64::try_from(due.len()).unwrap());
        }
        assert!(report.is_complete);
    }
}

pub(crate) async fn a_dry_run_says_what_would_go_and_leaves_it(store: impl Store) {
    store.append(&trail()).await.unwrap();
    let before = there(&store).await;
    let holds = Holds::new(store.clone());
    holds
        .place("case", "actor:carol".parse().unwrap(), "case 114")
        .await
        .unwrap();
    let placed = holds.list().await.unwrap();
    for policy in policies() {
        let retention = of(&store, policy.clone());
        let report = retention.dry_run().await.unwrap();
        let expected = due(&before, &policy, &placed, &report);
        assert_eq!(ids(&there(&store).await), ids(&before));
        let without = due(&before, &policy, &[], &report);
        if report.partitions.is_empty() {
            assert_eq!(report.deleted, u64::try_from(expected.len()).unwrap());
            assert_eq!(
                report.held,
                u64::try_from(without.len() - expected.len()).unwrap()
            );
            for (number, rule) in report.rules.iter().enumerate() {
                let of_rule = |event: &&AuditEvent| {
                    let first = policy
                        .rules()
                        .iter()
                        .position(|rule| rule.filter.matches(event));
                    first.unwrap_or(policy.rules().len()) == number
                        && expected.contains(&event.id())
                };
                let rows = before.iter().filter(of_rule).count();
                assert_eq!(rule.deleted, u64::try_from(rows).unwrap(), "{rule:?}");
            }
        }
    }
    assert_eq!(events_of(&store, "audit.log.prune").await, []);
}

pub(crate) async fn what_is_held_stays_until_the_hold_is_released(store: impl Store) {
    store.append(&trail()).await.unwrap();
    let retention = of(&store, days(30));
    let holds = Holds::new(store.clone());
    holds
        .place("case", "actor:carol".parse().unwrap(), "case 114")
        .await
        .unwrap();
    let report = retention.run().await.unwrap();
    let old = |event: &&AuditEvent| event.created_at() < report.as_of - TimeDelta::days(30);
    let left = there(&store).await;
    let left: Vec<_> = left.iter().filter(old).collect();
    assert!(!left.is_empty() && left.iter().all(|event| event.actor().id() == "carol"));
    assert_eq!(report.held, u64::try_from(left.len()).unwrap());
    holds.release("case").await.unwrap();
    retention.run().await.unwrap();
    assert_eq!(there(&store).await.iter().filter(old).count(), 0);
}

pub(crate) async fn events_of_one_moment_go_whatever_the_size_of_a_batch(store: impl Store) {
    let moment = Utc::now() - TimeDelta::days(50);
    let same = (0..23).map(|_| {
        AuditEvent::builder(Actor::system(), "a.b", Target::new("t", "1"))
            .created_at(moment)
            .build()
    });
    let mut batch: Vec<_> = same.collect();
    batch.push(old(1, 1));
    store.append(&batch).await.unwrap();
    let retention = Retention::builder(days(30)).pause(Duration::ZERO).batch(2);
    let report = retention.build(store.clone()).run().await.unwrap();
    assert_eq!(there(&store).await.len(), 1);
    assert!(
        report.deleted == 23 || !report.partitions.is_empty(),
        "{report:?}"
    );
}

pub(crate) async fn a_run_whose_time_is_over_says_so_and_the_next_one_goes_on(store: impl Store) {
    // What stays is in the way of what is due, if a run begins at the oldest each time.
    let policy = RetentionPolicy::builder().rule("outcome:denied", Keep::Forever);
    let policy = policy.default_keep(Keep::days(30)).build().unwrap();
    store.append(&trail()).await.unwrap();
    let retention = Retention::builder(policy).pause(Duration::ZERO);
    let retention = retention
        .budget(Duration::ZERO)
        .batch(29)
        .build(store.clone());
    let (mut runs, mut left_before) = (0, u64::MAX);
    soon(async {
        loop {
            runs += 1;
            let report = retention.run().await.unwrap();
            if report.is_complete {
                assert_eq!(report.left, None);
                break;
            }
            let left = report.left.unwrap();
            assert!(left <= left_before, "{report:?}");
            left_before = left;
            assert!(report.examined <= 29, "{report:?}");
        }
    })
    .await;
    assert!(runs > 2);
    assert!(
        left_before < 29,
        "the last but one left a batch at most: {left_before}"
    );
    let left = there(&store).await;
    let old = Utc::now() - TimeDelta::days(31);
    let is_left =
        |event: &AuditEvent| event.created_at() > old || event.outcome() == Outcome::Denied;
    assert!(left.iter().all(is_left));
}

pub(crate) async fn a_run_is_an_event_of_the_trail_with_what_it_did(store: impl Store) {
    store.append(&trail()).await.unwrap();
    let retention = Retention::builder(days(30)).actor(Actor::user("olivia"));
    let report = retention.build(store.clone()).run().await.unwrap();
    let events = events_of(&store, "audit.log.prune").await;
    let [event] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        (event.actor().id(), event.outcome()),
        ("olivia", Outcome::Success)
    );
    assert_eq!(event.target().kind(), "audit_log");
    let metadata = serde_json::to_value(event.metadata()).unwrap();
    assert_eq!(metadata["report"]["deleted"], report.deleted);
    assert_eq!(metadata["policy"]["default"], "30d");
}

pub(crate) async fn somebody_else_is_told_who_has_the_lease(store: impl Store) {
    store.append(&trail()).await.unwrap();
    store
        .raw("UPDATE {table}_retention SET holder = 'replica 7', token = 4, leased_until = {far}")
        .await;
    let retention = of(&store, days(30));
    let error = retention.run().await.unwrap_err();
    assert!(
        error.to_string().contains("replica 7 deletes already"),
        "{error}"
    );
    assert_eq!(there(&store).await.len(), 300);
    store
        .raw("UPDATE {table}_retention SET leased_until = {now}")
        .await;
    retention.run().await.unwrap();
    assert!(there(&store).await.len() < 50);
}

pub(crate) async fn a_run_whose_lease_was_taken_deletes_no_more(store: impl Store) {
    // A row of each day stays, so that no partition is dropped as a whole.
    let policy = RetentionPolicy::builder().rule("action:project.update", Keep::Forever);
    let policy = policy.default_keep(Keep::days(30)).build().unwrap();
    store.append(&trail()).await.unwrap();
    let slow = Retention::builder(policy)
        .batch(3)
        .pause(Duration::from_millis(100));
    let slow = slow.build(store.clone());
    let run = tokio::spawn(async move { slow.run().await });
    soon(async {
        while there(&store).await.len() == 300 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    store
        .raw("UPDATE {table}_retention SET token = token + 1, holder = 'another'")
        .await;
    let error = soon(run).await.unwrap().unwrap_err();
    assert!(matches!(error, RetentionError::LeaseLost), "{error:?}");
    assert!(there(&store).await.len() > 150);
    let event = events_of(&store, "audit.log.prune").await.remove(0);
    assert_eq!(
        (event.outcome(), event.reason()),
        (Outcome::Failure, Some("lease_lost"))
    );
}

pub(crate) async fn one_of_many_runs_for_a_time(store: impl Store) {
    store.append(&trail()).await.unwrap();
    let time: DateTime<Utc> = "2026-11-22T02:00:00Z".parse().unwrap();
    let replicas = (0..4).map(|_| {
        let retention = of(&store, days(30));
        tokio::spawn(async move {
            loop {
                match retention.run_for(time).await {
                    Err(RetentionError::Busy { .. }) => tokio::task::yield_now().await,
                    done => return done.unwrap().is_some(),
                }
            }
        })
    });
    let mut ran = 0;
    for replica in replicas.collect::<Vec<_>>() {
        ran += usize::from(soon(replica).await.unwrap());
    }
    assert_eq!(ran, 1);
    let before = of(&store, days(30))
        .run_for(time - TimeDelta::days(1))
        .await
        .unwrap();
    assert_eq!(before, None);
    let next = of(&store, days(30))
        .run_for(time + TimeDelta::days(1))
        .await
        .unwrap();
    assert!(next.is_some());
}

pub(crate) async fn a_policy_that_keeps_everything_deletes_nothing(store: impl Store) {
    store.append(&trail()).await.unwrap();
    let policy = RetentionPolicy::builder()
        .default_keep(Keep::Forever)
        .build()
        .unwrap();
    let report = of(&store, policy).run().await.unwrap();
    assert_eq!((report.deleted, report.is_complete), (0, true));
    assert_eq!(there(&store).await.len(), 300);
}

pub(crate) async fn nothing_under_the_floor_goes_whatever_the_policy_says(store: impl Store) {
    store.append(&trail()).await.unwrap();
    assert_eq!(floor(store.clone()).await.unwrap(), Keep::days(30));
    let week = of(&store, days(7));
    for refused in [week.run().await, week.dry_run().await] {
        let error = refused.unwrap_err().to_string();
        assert!(
            error.contains("the table keeps everything for 30d"),
            "{error}"
        );
    }
    assert_eq!(there(&store).await.len(), 300);
    assert!(
        set_floor(store.clone(), Keep::Forever, Actor::system())
            .await
            .is_err()
    );
    set_floor(store.clone(), Keep::days(5), Actor::user("olivia"))
        .await
        .unwrap();
    week.run().await.unwrap();
    assert_eq!(there(&store).await.len(), 7);
    let event = events_of(&store, "audit.floor.update").await.remove(0);
    let metadata = serde_json::to_value(event.metadata()).unwrap();
    assert_eq!(
        (event.actor().id(), metadata["to"].as_str()),
        ("olivia", Some("5d"))
    );
}

pub(crate) async fn a_hold_that_cannot_be_read_keeps_everything(store: impl Store) {
    store.append(&trail()).await.unwrap();
    store
        .raw("INSERT INTO {table}_holds (name, search, reason) VALUES ('new', 'galaxy:far', 'of a newer version')")
        .await;
    let error = of(&store, days(30)).run().await.unwrap_err();
    assert!(error.to_string().contains("the hold \"new\""), "{error}");
    assert_eq!(there(&store).await.len(), 300);
    // It can be released all the same.
    Holds::new(store.clone()).release("new").await.unwrap();
    of(&store, days(30)).run().await.unwrap();
}

pub(crate) async fn holds_are_placed_once_and_released_once_and_both_are_events(store: impl Store) {
    let holds = Holds::new(store.clone()).by(Actor::user("olivia"));
    let place = || holds.place("case", "actor:carol".parse().unwrap(), "case 114");
    place().await.unwrap();
    assert!(matches!(place().await, Err(RetentionError::HoldExists(name)) if name == "case"));
    let placed = holds.list().await.unwrap();
    assert_eq!(
        (placed.len(), placed[0].filter.to_string()),
        (1, "actor:carol".to_owned())
    );
    assert_eq!(placed[0].reason, "case 114");
    holds.release("case").await.unwrap();
    assert!(matches!(
        holds.release("case").await,
        Err(RetentionError::NoHold(_))
    ));
    assert_eq!(holds.list().await.unwrap(), []);
    // The name may be used again.
    place().await.unwrap();
    let created = events_of(&store, "audit.hold.create").await;
    let released = events_of(&store, "audit.hold.release").await;
    assert_eq!((created.len(), released.len()), (2, 1));
    assert_eq!(
        (created[0].actor().id(), created[0].target().id()),
        ("olivia", "case")
    );
}

pub(crate) async fn a_hold_of_everything_or_without_a_reason_is_refused(store: impl Store) {
    let holds = Holds::new(store);
    for (name, search, reason) in [("", "a:b", "c"), ("a", "", "c"), ("a", "actor:b", " ")] {
        let filter = search.parse().unwrap_or_default();
        let refused = holds.place(name, filter, reason).await;
        assert!(
            matches!(refused, Err(RetentionError::HoldIncomplete)),
            "{refused:?}"
        );
    }
}
