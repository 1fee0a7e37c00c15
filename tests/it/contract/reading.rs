//! What every store answers, written once. What is right is what plain code says of the same events.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Duration, Utc};
use tower_audit::{
    Actor, AuditEvent, Cursor, EventReader, EventWriter, Filter, Outcome, PageSize, Seek, Target,
    search::Field,
    store::{Buckets, Count, Tail, TailPosition},
};

use super::{end_of, pending, size};
use crate::support::{
    events::{at, builder, event},
    soon,
};

macro_rules! mount_reading {
    ($fresh:path, $store:expr) => {
        mod reading {
            use super::*;

            $crate::contract::reading::reading_tests!($fresh, $store =>
                each_search_finds_what_plain_code_finds,
                a_page_of_many_rows_of_which_few_pass_is_found_or_says_where_it_stopped,
                a_search_for_what_is_nowhere_comes_to_an_end,
                a_page_misses_nothing_while_rows_arrive,
                a_position_outside_of_the_time_of_a_search_is_before_all_of_it_or_after,
                a_stream_has_everything_once_in_both_directions,
                a_histogram_counts_by_time_and_outcome,
                a_histogram_counts_only_what_passes,
                the_most_frequent_values_come_first,
                an_estimate_of_few_rows_is_exact,
                what_happened_around_an_event_is_found,
                what_is_related_lies_within_the_filter,
                a_tail_begins_now_and_misses_nothing,
                a_tail_goes_on_where_a_part_of_a_batch_was_seen,
                a_tail_tells_of_the_end_of_a_pending_row,
            );
        }
    };
}

macro_rules! reading_tests {
    ($fresh:path, $store:expr => $($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            let database = $fresh().await;
            $crate::contract::reading::$name($store(&database)).await;
        }
    )*};
}

pub(crate) use {mount_reading, reading_tests};

/// Sixty events that differ in everything.
fn diverse() -> Vec<AuditEvent> {
    let outcomes = Outcome::ALL;
    (0..60_u32)
        .map(|n| {
            let pick = |n: u32, of: &[&str]| of[usize::try_from(n).unwrap() % of.len()].to_owned();
            let actor = match n % 5 {
                0 => Actor::user("alice").name("Alice A."),
                1 => Actor::user("bob").auth_method("oidc").on_behalf_of("alice"),
                2 => Actor::api_key("key-1").credential_id("k*1"),
                3 => Actor::system(),
                _ => Actor::anonymous(),
            };
            let action = pick(n, &["project.delete", "project.create", "projects.read", "user.login", "Project.x", "project.\u{10FFFF}"]);
            let target = Target::new(pick(n, &["project", "user"]), pick(n, &["7", "", "8", "a b,c\"*"]));
            let event = AuditEvent::builder(actor, action, target)
                .created_at(at(i64::from(n) * 600))
                .outcome(outcomes[usize::try_from(n / 7).unwrap() % outcomes.len()])
                .status(u16::try_from(200 + 100 * (n % 4) + n % 3).unwrap())
                .metadata("n", n)
                .metadata("plan", pick(n, &["pro", "free", "5", "null"]))
                .metadata("deep", serde_json::json!({"a": {"b": n % 3, "é ü": true}, "list": [n % 4, "x", null, 1.5]}));
            let event = match n % 3 {
                0 => event.reason("quota").tenant_id("acme").ip_address("10.1.2.3".parse().unwrap()).path("/projects/7").duration(std::time::Duration::from_micros(u64::from(n) * 100)),
                1 => event.tenant_id("other").ip_address(format!("10.{n}.200.255").parse().unwrap()).peer_address("2001:db8::1".parse().unwrap()).user_agent("curl/8 \\ %_"),
                _ => event.ip_address("2001:db8:0:1::9".parse().unwrap()).method("GET").route("/projects/{id}").request_id(format!("r-{}", n % 4)).trace_id("4bf92f3577b34da6a3ce929d0e0e4736").service("shop@1"),
            };
            let captured = serde_json::json!({"query": {"page": "2"}, "n": n % 2});
            let captured = tower_audit::Captured::from(tower_audit::Metadata::from(captured.as_object().unwrap().clone()));
            if n % 4 == 0 { event.captured(captured).build() } else { event.build() }
        })
        .collect()
}

/// A search for each key and each form of value, negated too, and some of several terms.
const SEARCHES: &[&str] = &[
    "",
    "actor:alice",
    "actor:alice,bob",
    "actor:alice,alice",
    "actor:alice actor:alice",
    "meta.deep.list.0:*",
    "meta.deep.list.1:x*",
    "actor:al*",
    "kind:user,system",
    "name:\"Alice A.\"",
    "name:A*",
    "name:*",
    "auth:oidc",
    "auth:*",
    "credential:\"k*1\"",
    "behalf:alice",
    "action:project.delete",
    "action:project.*",
    "action:project.*,user.login",
    "action:*",
    "action:nothing",
    "target:7",
    "target:\"\"",
    "target:*",
    "target:\"a b,c\\\"*\"",
    "target:7,8",
    "type:project",
    "type:p*",
    "outcome:denied",
    "outcome:denied,failure",
    "outcome:success",
    "reason:quota",
    "reason:*",
    "status:200",
    "status:2xx",
    "status:>=400",
    "status:201..302",
    "status:200,500..599",
    "method:GET",
    "route:/projects/*",
    "path:/projects/7",
    "duration:>1ms",
    "duration:1ms..3ms",
    "duration:*",
    "request:r-1",
    "request:r-1,r-2",
    "request:*",
    "trace:4bf9*",
    "tenant:acme",
    "tenant:acme,other",
    "tenant:*",
    "ip:10.0.0.0/8",
    "ip:10.1.2.3",
    "ip:10.0.0.0/11,10.40.0.0/13",
    "ip:10.1.200.0/23",
    "ip:2001:db8::/32",
    "ip:::/0",
    "ip:0.0.0.0/0",
    "ip:*",
    "peer:2001:db8::1",
    "peer:*",
    "agent:\"curl/8 \\\\ %_\"",
    "agent:curl*",
    "service:shop@1",
    "meta.n:5",
    "meta.n:5.0",
    "meta.plan:pro",
    "meta.plan:5",
    "meta.plan:null",
    "meta.plan:p*",
    "meta.nothing:*",
    "meta.plan:*",
    "meta.deep.a.b:1",
    "meta.deep.a.\"é ü\":true",
    "meta.deep.list:2",
    "meta.deep.list:x",
    "meta.deep.list:null",
    "meta.deep.list:1.5",
    "meta.deep:*",
    "meta.deep:x",
    "meta.deep.a:*",
    "meta:{\"plan\": \"pro\"}",
    "meta:{\"deep\": {\"a\": {\"b\": 2}, \"list\": [\"x\", 3]}}",
    "meta:{\"deep\": {}}",
    "meta:{\"n\": 7, \"plan\": \"null\"}",
    "meta:{\"deep\": {\"a\": {\"é ü\": true}}}",
    "captured.query.page:2",
    "captured.n:1",
    "captured:*",
    "captured.query:*",
    "created:2026-11-18..2026-11-19",
    "created:>2026-11-18T15:00Z",
    "created:2026-11-18",
    "created:2026-11-18T12:00Z..2026-11-18T13:00Z,2026-11-18T15:00Z..",
    "recorded:2026..",
    "actor:alice outcome:success",
    "tenant:acme action:project.* status:2xx",
    "actor:bob ip:10.0.0.0/8 -outcome:success",
    "meta.plan:pro -meta.n:0 created:2026-11-18..",
    "target:7 actor:alice,bob kind:user",
    "outcome:denied action:p* -actor:alice -tenant:other",
];

async fn write_diverse(store: &(impl EventWriter + EventReader)) -> Vec<AuditEvent> {
    store.append(&diverse()).await.unwrap();
    let all = store
        .page(&Filter::new(), Seek::Newest, PageSize::MAX)
        .await
        .unwrap()
        .events;
    assert_eq!(all.len(), 60);
    all
}

fn parse(search: &str) -> Filter {
    search
        .parse()
        .unwrap_or_else(|error| panic!("{search}: {error}"))
}

/// Returns the searches, and the opposite of each term.
fn searches() -> Vec<String> {
    let mut all: Vec<String> = SEARCHES.iter().map(|search| (*search).to_owned()).collect();
    all.extend(
        SEARCHES
            .iter()
            .filter(|search| !search.is_empty() && Filter::terms(&parse(search)).len() == 1)
            .map(|search| format!("-{search}")),
    );
    all
}

fn numbers(events: &[AuditEvent]) -> Vec<i64> {
    events
        .iter()
        .map(|event| (event.created_at() - at(0)).num_seconds() / 600)
        .collect()
}

pub(super) async fn each_search_finds_what_plain_code_finds(store: impl EventWriter + EventReader) {
    let all = write_diverse(&store).await;
    for search in searches() {
        let filter = parse(&search);
        let expected: Vec<_> = all
            .iter()
            .filter(|event| filter.matches(event))
            .cloned()
            .collect();
        for seek in [Seek::Newest, Seek::Oldest] {
            let page = store
                .page(&filter, seek, PageSize::MAX)
                .await
                .unwrap_or_else(|error| panic!("{search}: {error:?}"));
            assert_eq!(numbers(&page.events), numbers(&expected), "{search}");
            assert_eq!(
                (page.older, page.newer, page.stopped_at),
                (None, None, None),
                "{search}"
            );
        }
        // Page by page, and from the middle on.
        let mut found = Vec::new();
        let mut seek = Some(Seek::Newest);
        while let Some(from) = seek {
            let page = store.page(&filter, from, size(7)).await.unwrap();
            seek = from.after(&page);
            found.extend(page.events);
        }
        assert_eq!(numbers(&found), numbers(&expected), "{search}");
    }
}

/// Thousands of rows in which one in five hundred is carol's.
async fn write_many(store: &(impl EventWriter + EventReader)) -> u32 {
    let rows = 21_000_u32;
    for batch in (0..rows).collect::<Vec<_>>().chunks(3_000) {
        let event = |n: &u32| {
            let path = if n.is_multiple_of(500) {
                "/rare"
            } else {
                "/often"
            };
            builder(i64::from(*n)).path(path).build()
        };
        store
            .append(&batch.iter().map(event).collect::<Vec<_>>())
            .await
            .unwrap();
    }
    rows
}

pub(super) async fn a_page_of_many_rows_of_which_few_pass_is_found_or_says_where_it_stopped(
    store: impl EventWriter + EventReader,
) {
    let rows = write_many(&store).await;
    let filter = parse("path:/rare");
    for first in [Seek::Newest, Seek::Oldest] {
        let (mut found, mut seek) = (Vec::new(), Some(first));
        while let Some(from) = seek {
            let mut page = store.page(&filter, from, size(20)).await.unwrap();
            assert!(
                page.stopped_at.is_some() || page.events.len() == 20 || from.after(&page).is_none()
            );
            seek = from.after(&page);
            if from.is_forward() {
                page.events.reverse();
            }
            found.extend(page.events);
        }
        let mut expected: Vec<_> = (0..rows)
            .filter(|n| n.is_multiple_of(500))
            .map(|n| at(n.into()))
            .collect();
        if !first.is_forward() {
            expected.reverse();
        }
        assert_eq!(
            found.iter().map(AuditEvent::created_at).collect::<Vec<_>>(),
            expected
        );
    }
}

pub(super) async fn a_search_for_what_is_nowhere_comes_to_an_end(
    store: impl EventWriter + EventReader,
) {
    write_many(&store).await;
    let mut events = store.stream(parse("actor:alice agent:nobody"), Seek::Newest);
    assert_eq!(events.next().await.unwrap(), None);
    assert_eq!(events.next().await.unwrap(), None);
}

pub(super) async fn a_position_outside_of_the_time_of_a_search_is_before_all_of_it_or_after(
    store: impl EventWriter + EventReader,
) {
    store
        .append(&(0..10).map(event).collect::<Vec<_>>())
        .await
        .unwrap();
    let filter = Filter::new().from(at(3)).until(at(6));
    let cursor = |seconds| Cursor::at(&event(seconds));
    for (seek, expected) in [
        (Seek::OlderThan(cursor(8)), vec![5, 4, 3]),
        (Seek::OlderThan(cursor(1)), vec![]),
        (Seek::NewerThan(cursor(1)), vec![5, 4, 3]),
        (Seek::NewerThan(cursor(8)), vec![]),
    ] {
        let page = store.page(&filter, seek, size(10)).await.unwrap();
        let found: Vec<_> = page.events.iter().map(AuditEvent::created_at).collect();
        assert_eq!(found, expected.into_iter().map(at).collect::<Vec<_>>());
    }
}

pub(super) async fn a_stream_has_everything_once_in_both_directions(
    store: impl EventWriter + EventReader,
) {
    let all = write_diverse(&store).await;
    for seek in [Seek::Newest, Seek::Oldest] {
        let mut events = store.stream(Filter::new(), seek).page_size(size(7));
        let mut found = Vec::new();
        while let Some(event) = events.next().await.unwrap() {
            found.push(event);
        }
        if seek.is_forward() {
            found.reverse();
        }
        assert_eq!(found, all);
    }
}

pub(super) async fn a_histogram_counts_by_time_and_outcome(store: impl EventWriter + EventReader) {
    let all = write_diverse(&store).await;
    let hour = Duration::hours(1).num_microseconds().unwrap();
    let buckets = Buckets::aligned(at(0), at(60 * 600), hour).unwrap();
    for search in searches() {
        let filter = parse(&search);
        let histogram = store.histogram(&filter, buckets).await.unwrap();
        let passing = all.iter().filter(|event| filter.matches(event)).count();
        assert_eq!(
            histogram.total(),
            u64::try_from(passing).unwrap(),
            "{search}"
        );
        assert_eq!(histogram.counted_from, None);
    }
    let histogram = store.histogram(&Filter::new(), buckets).await.unwrap();
    for bucket in &histogram.buckets {
        let is_in = |event: &&AuditEvent| {
            event.created_at() >= bucket.from
                && event.created_at() < bucket.from + Duration::hours(1)
        };
        for outcome in Outcome::ALL {
            let expected = all
                .iter()
                .filter(is_in)
                .filter(|event| event.outcome() == *outcome)
                .count();
            assert_eq!(bucket.count(*outcome), u64::try_from(expected).unwrap());
        }
    }
}

pub(super) async fn a_histogram_counts_only_what_passes(store: impl EventWriter + EventReader) {
    store
        .append(&[event(0), event(1), event(100)])
        .await
        .unwrap();
    let buckets = Buckets::covering(at(1), at(100), 3).unwrap();
    let histogram = store
        .histogram(&parse("actor:alice"), buckets)
        .await
        .unwrap();
    assert_eq!(histogram.total(), 1);
    let until = Filter::new().until(at(1));
    assert_eq!(store.histogram(&until, buckets).await.unwrap().total(), 0);
}

pub(super) async fn the_most_frequent_values_come_first(store: impl EventWriter + EventReader) {
    let all = write_diverse(&store).await;
    for (field, search) in [
        (Field::Actor, ""),
        (Field::Action, "actor:alice"),
        (Field::Target, "-outcome:success"),
        (Field::Ip, ""),
        (Field::Status, "status:>200"),
        (Field::Outcome, "path:*"),
        (Field::Metadata, ""),
        (Field::Created, ""),
    ] {
        let filter = parse(search);
        let top = store.top(&filter, field, size(4)).await.unwrap();
        let mut counts: Vec<(u64, String)> = Vec::new();
        let can_be_grouped = !matches!(field, Field::Metadata | Field::Created);
        for value in all
            .iter()
            .filter(|event| can_be_grouped && filter.matches(event))
            .filter_map(|event| field.text_of(event))
        {
            match counts.iter_mut().find(|(_, other)| *other == value) {
                Some((count, _)) => *count += 1,
                None => counts.push((1, value)),
            }
        }
        counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let best: Vec<u64> = counts.iter().take(4).map(|(count, _)| *count).collect();
        assert_eq!(
            top.values
                .iter()
                .map(|value| value.events)
                .collect::<Vec<_>>(),
            best,
            "{field:?}"
        );
        for value in top.values {
            assert!(
                counts.contains(&(value.events, value.value.clone())),
                "{field:?} {value:?}"
            );
        }
    }
}

pub(super) async fn an_estimate_of_few_rows_is_exact(store: impl EventWriter + EventReader) {
    write_diverse(&store).await;
    assert_eq!(
        store.estimate(&Filter::new()).await.unwrap(),
        Count::Exactly(60)
    );
    assert_eq!(
        store
            .estimate(&parse("actor:alice -tenant:*"))
            .await
            .unwrap(),
        Count::Exactly(4)
    );
}

pub(super) async fn what_happened_around_an_event_is_found(store: impl EventWriter + EventReader) {
    let by = |name: &str, seconds: i64, request: &str| {
        let event = AuditEvent::builder(Actor::user(name), "project.update", Target::none())
            .created_at(at(seconds));
        event.request_id(request).build()
    };
    let rows = [
        by("alice", 0, "r-0"),
        by("alice", 10, "r-1"),
        by("alice", 20, "r-2"),
        by("bob", 19, "r-2"),
        by("bob", 21, "r-2"),
        by("bob", 22, "r-3"),
        by("carol", 100_000, "r-2"),
    ];
    store.append(&rows).await.unwrap();
    let related = store
        .related(&rows[2], &Filter::new(), size(10))
        .await
        .unwrap();
    let seconds = |events: &[AuditEvent]| {
        events
            .iter()
            .map(|event| (event.created_at() - at(0)).num_seconds())
            .collect::<Vec<_>>()
    };
    assert_eq!(seconds(&related.same_request), [21, 19]);
    assert_eq!(seconds(&related.before), [10, 0]);
    assert_eq!(seconds(&related.after), [0; 0]);
    let related = store
        .related(&rows[0], &Filter::new(), size(1))
        .await
        .unwrap();
    assert_eq!(seconds(&related.after), [10]);
}

pub(super) async fn what_is_related_lies_within_the_filter(store: impl EventWriter + EventReader) {
    let of =
        |tenant: &str, seconds: i64| builder(seconds).tenant_id(tenant).request_id("r-1").build();
    let rows = [of("acme", 1), of("other", 2), of("other", 0)];
    store.append(&rows).await.unwrap();
    let related = store
        .related(&rows[0], &Filter::new().tenant_id("acme"), size(10))
        .await
        .unwrap();
    assert_eq!(
        (related.same_request, related.before, related.after),
        (Vec::new(), Vec::new(), Vec::new())
    );
}

async fn tail(store: &impl EventReader, position: &TailPosition, events: u16) -> Tail {
    // As whoever resumes does: by its text.
    let position: TailPosition = position.to_string().parse().unwrap();
    store.tail(Some(&position), size(events)).await.unwrap()
}

fn times(tail: &Tail) -> Vec<DateTime<Utc>> {
    let mut times: Vec<_> = tail
        .events
        .iter()
        .map(|(event, _)| event.created_at())
        .collect();
    times.sort();
    times
}

pub(super) async fn a_tail_begins_now_and_misses_nothing(store: impl EventWriter + EventReader) {
    store.append(&[event(5)]).await.unwrap();
    let begin = store.tail(None, size(10)).await.unwrap();
    assert!(begin.events.is_empty());
    assert!(tail(&store, &begin.position, 10).await.events.is_empty());
    // What arrived long ago and is written now is news.
    store.append(&[event(1), event(9)]).await.unwrap();
    store.append(&[event(2)]).await.unwrap();
    let first = tail(&store, &begin.position, 10).await;
    assert_eq!(
        (times(&first), first.has_more),
        (vec![at(1), at(2), at(9)], false)
    );
    assert!(tail(&store, &first.position, 10).await.events.is_empty());
    assert_eq!(tail(&store, &begin.position, 10).await.events.len(), 3);
}

pub(super) async fn a_tail_goes_on_where_a_part_of_a_batch_was_seen(
    store: impl EventWriter + EventReader,
) {
    let mut position = store.tail(None, size(1)).await.unwrap().position;
    store
        .append(&(0..5).map(event).collect::<Vec<_>>())
        .await
        .unwrap();
    store.append(&[event(7)]).await.unwrap();
    let mut found = Vec::new();
    for more in [true, true, false] {
        let some = tail(&store, &position, 2).await;
        assert_eq!((some.events.len(), some.has_more), (2, more));
        found.extend(times(&some));
        position = some.position;
    }
    found.sort();
    assert_eq!(found, [0, 1, 2, 3, 4, 7].map(at));
    // From after any event on, the others come, and only those.
    let begin = TailPosition::default();
    let all = tail(&store, &begin, 100).await;
    for (n, (_, after)) in all.events.iter().enumerate() {
        assert_eq!(
            tail(&store, after, 100).await.events.len(),
            all.events.len() - n - 1
        );
    }
}

pub(super) async fn a_tail_tells_of_the_end_of_a_pending_row(
    store: impl EventWriter + EventReader,
) {
    let pending = pending(1);
    store.append(std::slice::from_ref(&pending)).await.unwrap();
    let position = store.tail(None, size(1)).await.unwrap().position;
    store.append(&[end_of(&pending)]).await.unwrap();
    let ended = tail(&store, &position, 10).await;
    assert_eq!(ended.events.len(), 1);
    assert_eq!(ended.events[0].0.outcome(), Outcome::Failure);
    let reaped = super::pending(2);
    store.append(std::slice::from_ref(&reaped)).await.unwrap();
    let position = tail(&store, &ended.position, 10).await.position;
    assert_eq!(store.reap(at(50)).await.unwrap(), 1);
    assert_eq!(
        tail(&store, &position, 10).await.events[0].0.outcome(),
        Outcome::Unknown
    );
}

pub(crate) async fn a_page_misses_nothing_while_rows_arrive(store: impl EventWriter + EventReader) {
    // So many of one actor that their index is walked through windows, of which each ends within the page.
    let of_alice = |n: i64| builder(n).method("GET").build();
    let old: Vec<AuditEvent> = (0..1_500).map(of_alice).collect();
    store.append(&old).await.unwrap();
    let filter: Filter = "actor:alice method:GET".parse().unwrap();
    let done = AtomicBool::new(false);
    let write = async {
        let mut n = 1_500;
        while !done.load(Ordering::Relaxed) {
            store.append(&[of_alice(n)]).await.unwrap();
            n += 1;
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        for _ in 0..40 {
            let page = store
                .page(&filter, Seek::Newest, PageSize::MAX)
                .await
                .unwrap();
            let seconds = page
                .events
                .iter()
                .map(|event| event.created_at().timestamp());
            let seconds: Vec<i64> = seconds.collect();
            let gap = seconds.windows(2).find(|pair| pair[0] != pair[1] + 1);
            assert!(gap.is_none(), "{gap:?}");
        }
        done.store(true, Ordering::Relaxed);
    };
    soon(async { tokio::join!(write, read) }).await;
}
