//! What every store does, written once.

mod memory;
mod postgres;
mod reading;
mod retention;
mod sqlite;

use tower_audit::{
    Actor, ActorKind, AuditEvent, Auditor, Cursor, EventReader, EventWriter, Filter, Metadata,
    Outcome, Page, PageSize, Seek, Target, delivery::DropReason,
};

use crate::support::events::{at, builder, event, full, id, without_recorded_at};
use crate::support::soon;

/// Lists the contract for a store; the tests keep the database alive.
macro_rules! contract_tests {
    ($fresh:path, $store:expr => $($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            let database = $fresh().await;
            $crate::contract::$name($store(&database)).await;
        }
    )*};
}

macro_rules! mount_contract {
    ($fresh:path, $store:expr) => {
        $crate::contract::contract_tests!($fresh, $store =>
            what_is_written_is_read_back,
            a_repeated_batch_is_written_once,
            a_batch_that_overlaps_another_is_written_once,
            an_event_twice_in_one_batch_is_written_once,
            a_large_batch_is_written_whole,
            an_unknown_id_is_nothing,
            pages_are_newest_first_and_neither_overlap_nor_skip,
            rows_that_arrive_meanwhile_do_not_disturb_the_next_page,
            each_filter_finds_its_rows,
            all_conditions_of_a_filter_must_hold,
            a_value_of_a_filter_is_never_part_of_the_statement,
            a_store_that_is_ready_says_so,
            the_end_of_a_request_takes_the_place_of_its_pending_row,
            an_end_completes_only_a_pending_row,
            a_plain_event_leaves_a_pending_row_as_it_is,
            an_end_without_a_pending_row_is_written_all_the_same,
            a_pending_row_that_comes_late_changes_nothing,
            a_pending_row_and_its_end_in_one_batch_are_one_final_row,
            an_end_keeps_what_was_known_when_the_request_arrived,
            pending_rows_that_are_old_become_unknown,
            what_really_happened_takes_the_place_of_a_row_that_was_given_up,
        );
        $crate::contract::reading::mount_reading!($fresh, $store);
    };
}

pub(crate) use {contract_tests, mount_contract};

fn size(events: u16) -> PageSize {
    PageSize::new(events).unwrap()
}

async fn page(store: &impl EventReader, filter: Filter) -> Page {
    store
        .page(&filter, Seek::Newest, PageSize::MAX)
        .await
        .unwrap()
}

async fn what_is_written_is_read_back(store: impl EventWriter + EventReader) {
    let (full, plain) = (full(), event(1));
    store.append(&[full.clone(), plain.clone()]).await.unwrap();
    for written in [full, plain] {
        let read = store.get(written.id()).await.unwrap().unwrap();
        assert_eq!(without_recorded_at(&read), without_recorded_at(&written));
        assert!(read.recorded_at().is_some());
    }
}

async fn a_repeated_batch_is_written_once(store: impl EventWriter + EventReader) {
    let batch = [event(1), event(2)];
    store.append(&batch).await.unwrap();
    store.append(&batch).await.unwrap();
    assert_eq!(page(&store, Filter::new()).await.events.len(), 2);
}

async fn a_batch_that_overlaps_another_is_written_once(store: impl EventWriter + EventReader) {
    let (one, two, three) = (event(1), event(2), event(3));
    store.append(&[one, two.clone()]).await.unwrap();
    store.append(&[two, three]).await.unwrap();
    assert_eq!(page(&store, Filter::new()).await.events.len(), 3);
}

async fn an_event_twice_in_one_batch_is_written_once(store: impl EventWriter + EventReader) {
    let twice = event(1);
    store.append(&[twice.clone(), twice]).await.unwrap();
    assert_eq!(page(&store, Filter::new()).await.events.len(), 1);
}

async fn a_large_batch_is_written_whole(store: impl EventWriter + EventReader) {
    let batch: Vec<AuditEvent> = (0..3_333).map(event).collect();
    store.append(&batch).await.unwrap();
    let (mut found, mut events) = (0, store.stream(Filter::new(), Seek::Newest));
    while events.next().await.unwrap().is_some() {
        found += 1;
    }
    assert_eq!(found, 3_333);
}

async fn an_unknown_id_is_nothing(store: impl EventWriter + EventReader) {
    assert_eq!(store.get(id(7)).await.unwrap(), None);
}

async fn pages_are_newest_first_and_neither_overlap_nor_skip(
    store: impl EventWriter + EventReader,
) {
    // Three events at each time: the id decides, and a page ends in the middle of a tie.
    let batch: Vec<AuditEvent> = (0..9_u8)
        .map(|n| builder(i64::from(n / 3)).id(id(u128::from(n))).build())
        .collect();
    store.append(&batch).await.unwrap();
    for (first, numbers) in [
        (Seek::Newest, (0..9).rev().collect::<Vec<u128>>()),
        (Seek::Oldest, (0..9).collect()),
    ] {
        let (mut found, mut seek) = (Vec::new(), Some(first));
        while let Some(from) = seek {
            let mut page = store.page(&Filter::new(), from, size(2)).await.unwrap();
            seek = from.after(&page);
            if from.is_forward() {
                page.events.reverse();
            }
            found.extend(page.events.iter().map(AuditEvent::id));
        }
        assert_eq!(found, numbers.into_iter().map(id).collect::<Vec<_>>());
    }
}

async fn rows_that_arrive_meanwhile_do_not_disturb_the_next_page(
    store: impl EventWriter + EventReader,
) {
    store
        .append(&(0..4).map(event).collect::<Vec<_>>())
        .await
        .unwrap();
    let all = Filter::new();
    let first = store.page(&all, Seek::Newest, size(2)).await.unwrap();
    let next: Cursor = first.older.unwrap().to_string().parse().unwrap();
    store
        .append(&(10..14).map(event).collect::<Vec<_>>())
        .await
        .unwrap();
    let second = store
        .page(&all, Seek::OlderThan(next), size(2))
        .await
        .unwrap();
    let times: Vec<_> = second.events.iter().map(AuditEvent::created_at).collect();
    assert_eq!((times, second.older), (vec![at(1), at(0)], None));
    // And back again: what arrived is there.
    let back = Seek::NewerThan(second.newer.unwrap());
    let back = store.page(&all, back, size(10)).await.unwrap();
    assert_eq!(back.events.len(), 6);
    assert_eq!((back.newer, back.older.is_some()), (None, true));
}

async fn each_filter_finds_its_rows(store: impl EventWriter + EventReader) {
    let full = full();
    store
        .append(&[full.clone(), event(1), event(2)])
        .await
        .unwrap();
    let filters = [
        Filter::new().actor_id("key-1"),
        Filter::new().actor_kind(ActorKind::ApiKey),
        Filter::new().target_id(full.target().id()),
        Filter::new().action("project.delete"),
        Filter::new().outcome(Outcome::Denied),
        Filter::new().tenant_id("acme"),
        Filter::new().until(at(1)),
    ];
    for filter in filters {
        let found = page(&store, filter.clone()).await.events;
        assert_eq!(
            found.iter().map(AuditEvent::id).collect::<Vec<_>>(),
            [full.id()],
            "{filter:?}"
        );
    }
    let from = page(&store, Filter::new().from(at(1)).until(at(2)))
        .await
        .events;
    assert_eq!(
        from.iter().map(AuditEvent::created_at).collect::<Vec<_>>(),
        [at(1)]
    );
    assert_eq!(
        page(&store, Filter::new().target_kind("project"))
            .await
            .events
            .len(),
        3
    );
}

async fn all_conditions_of_a_filter_must_hold(store: impl EventWriter + EventReader) {
    store.append(&[full(), event(1)]).await.unwrap();
    let filter = Filter::new().actor_id("alice").outcome(Outcome::Denied);
    assert!(page(&store, filter).await.events.is_empty());
    let filter = Filter::new()
        .actor_id("alice")
        .outcome(Outcome::Success)
        .target_id("7")
        .action("project.update");
    assert_eq!(
        page(&store, filter.from(at(0)).until(at(9)))
            .await
            .events
            .len(),
        1
    );
}

async fn a_value_of_a_filter_is_never_part_of_the_statement(store: impl EventWriter + EventReader) {
    let hostile = "x' OR '1'='1' -- \" %_$1 ? :a";
    let named = AuditEvent::builder(Actor::user(hostile), hostile, Target::new(hostile, hostile))
        .tenant_id(hostile);
    let named = named.build();
    store.append(&[named.clone(), event(1)]).await.unwrap();
    let filter = Filter::new()
        .actor_id(hostile)
        .action(hostile)
        .target_kind(hostile)
        .target_id(hostile);
    let found = page(&store, filter.tenant_id(hostile)).await.events;
    assert_eq!(
        found.iter().map(AuditEvent::id).collect::<Vec<_>>(),
        [named.id()]
    );
}

async fn a_store_that_is_ready_says_so(store: impl EventWriter + EventReader) {
    store.check().await.unwrap();
}

fn pending(seconds: i64) -> AuditEvent {
    builder(seconds).outcome(Outcome::Pending).build()
}

/// Returns the end of a pending event: every field that the handler may set is another.
pub(crate) fn end_of(pending: &AuditEvent) -> AuditEvent {
    let target = Target::new("team", "8");
    AuditEvent::builder(Actor::user("alice").name("Alice"), "team.update", target)
        .id(pending.id())
        .created_at(pending.created_at())
        .outcome(Outcome::Failure)
        .reason("quota_exceeded")
        .status(409)
        .route("/teams/{id}")
        .request_id("r-1")
        .tenant_id("acme")
        .duration(std::time::Duration::from_micros(1_500))
        .metadata("plan", "pro")
        .captured(Metadata::from_iter([(
            "query",
            serde_json::json!({"page": "2"}),
        )]))
        .build()
        .completing()
}

async fn row(store: &impl EventReader, event: &AuditEvent) -> AuditEvent {
    store.get(event.id()).await.unwrap().unwrap()
}

async fn outcome(store: &impl EventReader, event: &AuditEvent) -> Outcome {
    row(store, event).await.outcome()
}

async fn the_end_of_a_request_takes_the_place_of_its_pending_row(
    store: impl EventWriter + EventReader,
) {
    let pending = pending(1);
    let end = end_of(&pending);
    store.append(std::slice::from_ref(&pending)).await.unwrap();
    assert_eq!(outcome(&store, &pending).await, Outcome::Pending);
    store
        .append(&[event(2), end.clone(), event(3)])
        .await
        .unwrap();
    let expected = serde_json::to_value(&end).unwrap();
    let mut expected = expected.as_object().unwrap().clone();
    expected.remove("completes_pending");
    assert_eq!(
        without_recorded_at(&row(&store, &pending).await),
        serde_json::Value::from(expected)
    );
    assert_eq!(page(&store, Filter::new()).await.events.len(), 3);
}

async fn an_end_completes_only_a_pending_row(store: impl EventWriter + EventReader) {
    let event = event(1);
    store.append(std::slice::from_ref(&event)).await.unwrap();
    store.append(&[end_of(&event)]).await.unwrap();
    assert_eq!(outcome(&store, &event).await, Outcome::Success);
}

async fn a_plain_event_leaves_a_pending_row_as_it_is(store: impl EventWriter + EventReader) {
    let pending = pending(1);
    let plain = builder(1).id(pending.id()).build();
    store.append(&[pending.clone(), plain]).await.unwrap();
    assert_eq!(outcome(&store, &pending).await, Outcome::Pending);
}

async fn an_end_without_a_pending_row_is_written_all_the_same(
    store: impl EventWriter + EventReader,
) {
    let end = end_of(&pending(1));
    store.append(&[end.clone(), end.clone()]).await.unwrap();
    assert_eq!(outcome(&store, &end).await, Outcome::Failure);
}

async fn a_pending_row_that_comes_late_changes_nothing(store: impl EventWriter + EventReader) {
    let pending = pending(1);
    store.append(&[end_of(&pending)]).await.unwrap();
    store.append(std::slice::from_ref(&pending)).await.unwrap();
    assert_eq!(outcome(&store, &pending).await, Outcome::Failure);
}

async fn a_pending_row_and_its_end_in_one_batch_are_one_final_row(
    store: impl EventWriter + EventReader,
) {
    for batch in [[0, 1], [1, 0]] {
        let pending = pending(batch[0]);
        let both = [pending.clone(), end_of(&pending)];
        let both = [0, 1].map(|n| both[usize::try_from(batch[n]).unwrap()].clone());
        store.append(&both).await.unwrap();
        assert_eq!(outcome(&store, &pending).await, Outcome::Failure);
    }
}

/// Not of a table with partitions: there the time is part of the key.
async fn an_end_of_another_time_leaves_the_time_as_it_was(store: impl EventWriter + EventReader) {
    let pending = pending(1);
    store.append(std::slice::from_ref(&pending)).await.unwrap();
    let end = AuditEvent::builder(Actor::user("alice"), "team.update", Target::none());
    let end = end.id(pending.id()).created_at(at(9)).build().completing();
    store.append(&[end]).await.unwrap();
    let row = row(&store, &pending).await;
    assert_eq!((row.outcome(), row.created_at()), (Outcome::Success, at(1)));
}

async fn an_end_keeps_what_was_known_when_the_request_arrived(
    store: impl EventWriter + EventReader,
) {
    let known = builder(1)
        .outcome(Outcome::Pending)
        .method("POST")
        .path("/teams/8")
        .ip_address("192.0.2.1".parse().unwrap())
        .user_agent("curl/8")
        .build();
    let nobody = AuditEvent::builder(Actor::anonymous(), "team.update", Target::none());
    let nobody = nobody.outcome(Outcome::Pending).created_at(at(2)).build();
    store
        .append(&[known.clone(), nobody.clone()])
        .await
        .unwrap();
    let mallory = |event: &AuditEvent| {
        let end = AuditEvent::builder(
            Actor::user("mallory").name("M"),
            "team.update",
            Target::none(),
        );
        end.id(event.id())
            .created_at(event.created_at())
            .user_agent("other")
            .build()
            .completing()
    };
    store
        .append(&[mallory(&known), mallory(&nobody)])
        .await
        .unwrap();
    let (known, nobody) = (row(&store, &known).await, row(&store, &nobody).await);
    assert_eq!(
        (known.actor().id(), known.actor().display_name()),
        ("alice", None)
    );
    assert_eq!(known.outcome(), Outcome::Success);
    assert_eq!(
        (known.method(), known.user_agent()),
        (Some("POST"), Some("curl/8"))
    );
    assert_eq!(known.ip_address(), Some("192.0.2.1".parse().unwrap()));
    assert_eq!(
        (nobody.actor().id(), nobody.actor().display_name()),
        ("mallory", Some("M"))
    );
}

async fn pending_rows_that_are_old_become_unknown(store: impl EventWriter + EventReader) {
    let (old, young, done) = (pending(1), pending(100), event(2));
    store
        .append(&[old.clone(), young.clone(), done.clone()])
        .await
        .unwrap();
    assert_eq!(store.reap(at(50)).await.unwrap(), 1);
    assert_eq!(store.reap(at(50)).await.unwrap(), 0);
    let outcomes = [
        outcome(&store, &old).await,
        outcome(&store, &young).await,
        outcome(&store, &done).await,
    ];
    assert_eq!(
        outcomes,
        [Outcome::Unknown, Outcome::Pending, Outcome::Success]
    );
}

async fn what_really_happened_takes_the_place_of_a_row_that_was_given_up(
    store: impl EventWriter + EventReader,
) {
    let pending = pending(1);
    store.append(std::slice::from_ref(&pending)).await.unwrap();
    assert_eq!(store.reap(at(50)).await.unwrap(), 1);
    assert_eq!(
        row(&store, &pending).await.reason(),
        Some("never_completed")
    );
    store.append(&[end_of(&pending)]).await.unwrap();
    assert_eq!(row(&store, &pending).await.reason(), Some("quota_exceeded"));
    let again = builder(1).id(pending.id()).build().completing();
    store.append(&[again]).await.unwrap();
    assert_eq!(outcome(&store, &pending).await, Outcome::Failure);
}

/// Twenty events, one of which the test's table refuses.
fn poisoned_batch() -> Vec<AuditEvent> {
    let mut batch: Vec<AuditEvent> = (0..20).map(event).collect();
    batch[13] = AuditEvent::builder(Actor::system(), "poison.row", Target::none()).build();
    batch
}

async fn a_poison_row_costs_only_itself(store: impl EventWriter + EventReader + Clone) {
    let auditor = Auditor::new(store.clone());
    poisoned_batch()
        .into_iter()
        .for_each(|event| auditor.record(event));
    soon(auditor.flush()).await;
    let stats = auditor.stats();
    assert_eq!(
        (stats.written, stats.dropped[DropReason::Rejected]),
        (19, 1)
    );
    assert_eq!(page(&store, Filter::new()).await.events.len(), 19);
}
