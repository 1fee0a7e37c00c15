//! What every store of trails does, written once.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rust_decimal::Decimal;
use tokio::task::JoinSet;
use tower_audit_ai::{
    Cost, Currency, Days, Price, Prices, Tally, Trail, TrailStatus, TrailStore, Trails, Update,
    Usage,
};
use tower_audit_core::{Actor, EventId, PageSize};

use super::support::{Caught, ZONE, all_days, changes, dollars, get, id, write};

macro_rules! mount_contract {
    ($fresh:path, $store:expr) => {
        $crate::trails::contract::mount_contract!(@ $fresh, $store =>
            a_trail_is_stored_and_retrieved,
            a_trail_that_nobody_began_is_none,
            an_update_leaves_the_rest_as_it_is,
            what_a_trail_hangs_on_is_kept,
            an_end_may_come_before_its_begin_and_everything_twice,
            of_what_is_said_twice_the_last_counts,
            a_claimed_and_a_computed_cost_are_kept_apart,
            cleanup_deletes_what_is_old_and_spares_what_is_on_its_way,
            what_was_deleted_is_still_counted_and_counted_once,
            a_call_that_nobody_ends_is_given_up_and_may_be_completed_later,
            what_is_old_is_deleted_by_itself,
            projects_are_named_in_their_order,
            the_calls_of_a_request_are_found_the_oldest_first,
            a_call_that_is_recorded_when_it_is_over_ended_when_it_did,
            calls_add_up_by_day_and_model_to_the_last_decimal,
            a_day_is_one_of_the_time_zone_of_the_store,
            the_slowest_and_the_newest_are_named,
            the_slowest_and_the_newest_of_many_days_are_named_after_slower_ones_were_deleted,
            pages_follow_each_other_without_a_gap,
            batches_at_the_same_time_count_every_call_once,
        );
    };
    (@ $fresh:path, $store:expr => $($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            let database = $fresh().await;
            $crate::trails::contract::$name($store(&database)).await;
        }
    )*};
}

pub(super) use mount_contract;

fn begin(trails: &Trails<Caught>, message: &str, project: &str, started_at: DateTime<Utc>) {
    let placeholder = Trail::placeholder(message, project, "m-1").unwrap();
    trails.begin(placeholder.started_at(started_at));
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(super) async fn a_trail_is_stored_and_retrieved(store: impl TrailStore) {
    let began = Utc::now();
    let recorded = changes(async |trails| {
        let placeholder = Trail::placeholder("test-123", "proj-1", "claude-3-7-sonnet-20250219");
        trails.begin(placeholder.unwrap().context_layers(3));
        trails.complete(
            &id("test-123"),
            Usage::new(100, 50),
            Some(dollars("0.0003", "0.00075")),
            vec!["first".into(), "then".into()],
        );
    })
    .await;
    write(&store, &recorded).await;
    let trail = get(&store, "test-123").await;
    assert_eq!(trail.message_id, id("test-123"));
    assert_eq!(trail.project_id, "proj-1");
    assert_eq!(trail.model, "claude-3-7-sonnet-20250219");
    assert_eq!(trail.context_layers, 3);
    assert_eq!(trail.usage.unwrap().total, 150);
    assert_eq!(trail.cost.unwrap().total(), "0.00105".parse().unwrap());
    assert_eq!(trail.reasoning, ["first", "then"]);
    assert_eq!(trail.status, TrailStatus::Completed);
    assert!(
        trail.started_at >= began - TimeDelta::seconds(1)
            && trail.ended_at >= Some(trail.started_at)
    );
}

pub(super) async fn a_trail_that_nobody_began_is_none(store: impl TrailStore) {
    assert_eq!(store.get(&id("m")).await.unwrap(), None);
    let ended = changes(async |trails| trails.fail(&id("m"), "no")).await;
    write(&store, &ended).await;
    assert_eq!(store.get(&id("m")).await.unwrap(), None);
    assert_eq!(
        store.analytics("p", all_days()).await.unwrap().total,
        Tally::default()
    );
}

pub(super) async fn an_update_leaves_the_rest_as_it_is(store: impl TrailStore) {
    let recorded = changes(async |trails| {
        begin(trails, "m", "p", Utc::now());
        trails.complete(&id("m"), Usage::new(1, 2), None, vec!["why".into()]);
        let update = Update::new().cost(dollars("1", "2")).served_model("m-2");
        trails.update(&id("m"), update);
    })
    .await;
    write(&store, &recorded).await;
    let trail = get(&store, "m").await;
    assert_eq!(
        (trail.usage, trail.cost),
        (Some(Usage::new(1, 2)), Some(dollars("1", "2")))
    );
    assert_eq!(
        (trail.model.as_str(), trail.served_model.as_deref()),
        ("m-1", Some("m-2"))
    );
    assert_eq!(
        (trail.reasoning, trail.status),
        (vec!["why".to_owned()], TrailStatus::Completed)
    );
}

pub(super) async fn what_a_trail_hangs_on_is_kept(store: impl TrailStore) {
    let event = EventId::from_uuid(uuid::Uuid::now_v7());
    let recorded = changes(async |trails| {
        let placeholder = Trail::placeholder("m", "p", "m-1").unwrap();
        trails.begin(
            placeholder
                .actor(Actor::user("alice"))
                .request_id("r-1")
                .event_id(event),
        );
        trails.fail(&id("m"), "it\0 broke");
    })
    .await;
    write(&store, &recorded).await;
    let trail = get(&store, "m").await;
    assert_eq!(trail.actor, Some(Actor::user("alice")));
    assert_eq!(
        (trail.request_id.as_deref(), trail.event_id),
        (Some("r-1"), Some(event))
    );
    assert_eq!(
        (trail.status, trail.error.as_deref()),
        (TrailStatus::Failed, Some("it\u{FFFD} broke"))
    );
}

pub(super) async fn an_end_may_come_before_its_begin_and_everything_twice(store: impl TrailStore) {
    let recorded = changes(async |trails| {
        begin(trails, "m", "p", Utc::now());
        trails.complete(
            &id("m"),
            Usage::new(1, 2),
            Some(dollars("1", "2")),
            Vec::new(),
        );
    })
    .await;
    let [begin, end] = recorded.as_slice() else {
        panic!("{recorded:?}");
    };
    for change in [end, begin, end, begin] {
        write(&store, std::slice::from_ref(change)).await;
    }
    write(&store, &[end.clone(), end.clone(), begin.clone()]).await;
    assert_eq!(get(&store, "m").await.status, TrailStatus::Completed);
    let total = store.analytics("p", all_days()).await.unwrap().total;
    assert_eq!(
        (total.calls, total.completed, total.total_tokens),
        (1, 1, 3)
    );
    assert_eq!(total.costs[&Currency::USD].claimed, Decimal::from(3));
}

pub(super) async fn of_what_is_said_twice_the_last_counts(store: impl TrailStore) {
    let mut recorded = changes(async |trails| {
        begin(trails, "m", "p", Utc::now());
        trails.complete(
            &id("m"),
            Usage::new(1, 1),
            Some(dollars("1", "1")),
            Vec::new(),
        );
        trails.update(&id("m"), Update::new().usage(Usage::new(2, 2)));
        trails.fail(&id("m"), "a guard that was slow");
    })
    .await;
    recorded.reverse();
    write(&store, &recorded).await;
    let trail = get(&store, "m").await;
    assert_eq!(
        (trail.usage, trail.status),
        (Some(Usage::new(2, 2)), TrailStatus::Completed)
    );
    assert_eq!(trail.error, None);
}

pub(super) async fn a_claimed_and_a_computed_cost_are_kept_apart(store: impl TrailStore) {
    let price = |prompt: &str, completion: &str| {
        Price::new(
            Currency::EUR,
            prompt.parse().unwrap(),
            completion.parse().unwrap(),
        )
        .unwrap()
    };
    let prices = Prices::new()
        .with("m-1", price("1", "2"))
        .with("m-2", price("10", "20"));
    let caught = Caught::default();
    let trails = Trails::builder(caught.clone()).prices(prices).start();
    for (message, served) in [("m", None), ("n", Some("m-2")), ("o", Some("m-3"))] {
        begin(&trails, message, "p", Utc::now());
        trails.complete(
            &id(message),
            Usage::new(1_000, 500),
            Some(dollars("1", "1")),
            Vec::new(),
        );
        if let Some(served) = served {
            trails.update(&id(message), Update::new().served_model(served));
        }
    }
    begin(&trails, "nobody said", "p", Utc::now());
    let usage = Usage::new(1_000, 500);
    trails.complete(&id("nobody said"), usage, None, Vec::new());
    trails.flush().await;
    write(&store, &caught.all()).await;
    for (message, computed) in [("m", Some("0.002")), ("n", Some("0.02")), ("o", None)] {
        let trail = get(&store, message).await;
        assert_eq!(trail.cost, Some(dollars("1", "1")));
        let found = trail.computed_cost.as_ref().map(Cost::total);
        assert_eq!(
            found,
            computed.map(|amount| amount.parse().unwrap()),
            "{message}"
        );
    }
    let total = store.analytics("p", all_days()).await.unwrap().total;
    let [dollars, euros] = [Currency::USD, Currency::EUR].map(|currency| total.costs[&currency]);
    assert_eq!((dollars.total, dollars.claimed), (6.into(), 6.into()));
    assert_eq!(euros.computed, "0.024".parse().unwrap());
    // Of what nobody said what was computed counts.
    assert_eq!(euros.total, "0.002".parse().unwrap());
}

pub(super) async fn cleanup_deletes_what_is_old_and_spares_what_is_on_its_way(
    store: impl TrailStore,
) {
    let (now, day) = (Utc::now(), TimeDelta::days(1));
    let recorded = changes(async |trails| {
        begin(trails, "old-123", "proj-1", now - day * 10);
        trails.complete(&id("old-123"), Usage::default(), None, Vec::new());
        begin(trails, "on-its-way", "proj-1", now - day * 10);
        begin(trails, "new", "proj-1", now - day * 6);
        trails.fail(&id("new"), "no");
    })
    .await;
    write(&store, &recorded).await;
    assert_eq!(store.cleanup(now - day * 7).await.unwrap(), 1);
    assert_eq!(store.get(&id("old-123")).await.unwrap(), None);
    for message in ["on-its-way", "new"] {
        get(&store, message).await;
    }
    assert_eq!(store.cleanup(now - day * 7).await.unwrap(), 0);
}

pub(super) async fn what_was_deleted_is_still_counted_and_counted_once(store: impl TrailStore) {
    let began = Utc::now() - TimeDelta::days(10);
    let recorded = changes(async |trails| {
        begin(trails, "m", "p", began);
        trails.complete(
            &id("m"),
            Usage::new(1, 2),
            Some(dollars("1", "2")),
            Vec::new(),
        );
    })
    .await;
    write(&store, &recorded).await;
    store.cleanup(Utc::now()).await.unwrap();
    for change in recorded.iter().rev() {
        write(&store, std::slice::from_ref(change)).await;
    }
    assert_eq!(store.get(&id("m")).await.unwrap(), None);
    let analytics = store.analytics("p", all_days()).await.unwrap();
    assert_eq!(
        (analytics.total.calls, analytics.total.total_tokens),
        (1, 3)
    );
    assert_eq!(analytics.recent, []);
}

pub(super) async fn a_call_that_nobody_ends_is_given_up_and_may_be_completed_later(
    store: impl TrailStore,
) {
    let now = Utc::now();
    let recorded = changes(async |trails| {
        begin(trails, "old", "p", now - TimeDelta::hours(2));
        begin(trails, "new", "p", now);
        trails.complete(&id("old"), Usage::new(1, 1), None, Vec::new());
    })
    .await;
    let (begun, ended) = recorded.split_at(2);
    write(&store, begun).await;
    assert_eq!(store.reap(now - TimeDelta::hours(1)).await.unwrap(), 1);
    assert_eq!(store.reap(now - TimeDelta::hours(1)).await.unwrap(), 0);
    let given_up = get(&store, "old").await;
    assert_eq!(
        (given_up.status, given_up.latency()),
        (TrailStatus::Unknown, None)
    );
    assert_eq!(get(&store, "new").await.status, TrailStatus::Pending);
    let total = store.analytics("p", all_days()).await.unwrap().total;
    assert_eq!((total.calls, total.unknown, total.pending()), (2, 1, 1));
    write(&store, ended).await;
    assert_eq!(get(&store, "old").await.status, TrailStatus::Completed);
    let total = store.analytics("p", all_days()).await.unwrap().total;
    assert_eq!((total.unknown, total.completed, total.ended), (0, 1, 1));
}

pub(super) async fn calls_add_up_by_day_and_model_to_the_last_decimal(store: impl TrailStore) {
    let recorded = changes(async |trails| {
        for (number, (day, model)) in [(1, "a"), (1, "b"), (2, "a"), (3, "a")]
            .into_iter()
            .enumerate()
        {
            let message = format!("m{number}");
            let placeholder = Trail::placeholder(&message, "p", model).unwrap();
            trails.begin(placeholder.started_at(time(&format!("2026-11-0{day}T15:00:00Z"))));
            let usage = Usage::new(10, 5).cached(4).reasoning(3);
            trails.complete(
                &id(&message),
                usage,
                Some(dollars("0.000000000001", "0.1")),
                Vec::new(),
            );
        }
        begin(trails, "other", "q", time("2026-11-01T15:00:00Z"));
    })
    .await;
    write(&store, &recorded).await;
    let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
    let analytics = store
        .analytics("p", Days::new(day(1), day(2)))
        .await
        .unwrap();
    let calls = |tallies: &[(NaiveDate, Tally)]| -> Vec<_> {
        tallies
            .iter()
            .map(|(day, tally)| (*day, tally.calls))
            .collect()
    };
    assert_eq!(calls(&analytics.by_day), [(day(1), 2), (day(2), 1)]);
    let models: Vec<_> = analytics
        .by_model
        .iter()
        .map(|(model, tally)| (model.as_str(), tally.calls))
        .collect();
    assert_eq!(models, [("a", 2), ("b", 1)]);
    let total = analytics.total;
    assert_eq!((total.calls, total.completed), (3, 3));
    assert_eq!(
        (
            total.prompt_tokens,
            total.completion_tokens,
            total.total_tokens
        ),
        (30, 15, 45)
    );
    assert_eq!((total.cached_tokens, total.reasoning_tokens), (12, 9));
    assert_eq!(
        total.costs[&Currency::USD].claimed,
        "0.300000000003".parse().unwrap()
    );
    assert_eq!(
        total.average_cost(Currency::USD),
        Some("0.100000000001".parse().unwrap())
    );
}

pub(super) async fn a_day_is_one_of_the_time_zone_of_the_store(store: impl TrailStore) {
    // In New York it is still the day before.
    let recorded =
        changes(async |trails| begin(trails, "m", "p", time("2026-11-02T04:59:59Z"))).await;
    write(&store, &recorded).await;
    let analytics = store.analytics("p", all_days()).await.unwrap();
    assert_eq!(
        analytics.by_day[0].0,
        NaiveDate::from_ymd_opt(2026, 11, 1).unwrap()
    );
    let day = analytics.by_day[0].0;
    let of_day = store.analytics("p", Days::new(day, day)).await.unwrap();
    assert_eq!((of_day.total.calls, of_day.recent.len()), (1, 1));
}

pub(super) async fn the_slowest_and_the_newest_are_named(store: impl TrailStore) {
    let now = Utc::now();
    let recorded = changes(async |trails| {
        for number in 0..15 {
            let message = format!("m{number:02}");
            begin(trails, &message, "p", now - TimeDelta::minutes(number));
            if number != 14 {
                trails.complete(&id(&message), Usage::default(), None, Vec::new());
            }
        }
    })
    .await;
    write(&store, &recorded).await;
    let analytics = store.analytics("p", all_days()).await.unwrap();
    let names = |trails: &[Trail]| -> Vec<String> {
        trails
            .iter()
            .map(|trail| trail.message_id.to_string())
            .collect()
    };
    let named = |numbers: &mut dyn Iterator<Item = i32>| -> Vec<String> {
        numbers.map(|number| format!("m{number:02}")).collect()
    };
    assert_eq!(names(&analytics.recent), named(&mut (0..10)));
    assert_eq!(names(&analytics.slowest), named(&mut (4..14).rev()));
}

pub(super) async fn the_slowest_and_the_newest_of_many_days_are_named_after_slower_ones_were_deleted(
    store: impl TrailStore,
) {
    // Who began earlier took longer.
    let now = Utc::now();
    let recorded = changes(async |trails| {
        for days in 0..40 {
            let message = format!("{days}");
            begin(trails, &message, "p", now - TimeDelta::days(days));
            trails.complete(&id(&message), Usage::default(), None, Vec::new());
        }
    })
    .await;
    write(&store, &recorded).await;
    // A later batch of the same days, of which nothing has ended.
    let pending = changes(async |trails| {
        for days in 30..40 {
            let message = format!("{}", 1_000 + days);
            begin(trails, &message, "p", now - TimeDelta::days(days));
        }
    })
    .await;
    write(&store, &pending).await;
    let named = async |days: Days| {
        let analytics = store.analytics("p", days).await.unwrap();
        let names = |trails: &[Trail]| -> Vec<i64> {
            let ids = trails.iter().map(|trail| trail.message_id.as_str());
            ids.map(|id| id.parse().unwrap()).collect()
        };
        (names(&analytics.slowest), names(&analytics.recent))
    };
    let all = named(all_days()).await;
    assert_eq!(all, ((30..40).rev().collect(), (0..10).collect()));

    store
        .cleanup(now - TimeDelta::hours(24 * 24 + 12))
        .await
        .unwrap();

    let left = named(all_days()).await;
    assert_eq!(left, ((15..25).rev().collect(), (0..10).collect()));
    let day = |days| {
        (now - TimeDelta::days(days))
            .with_timezone(&ZONE)
            .date_naive()
    };
    let old = named(Days::new(day(12), day(10))).await;
    let of_then: Vec<i64> = (0..25)
        .filter(|days| (day(12)..=day(10)).contains(&day(*days)))
        .collect();
    assert_eq!(old, (of_then.iter().rev().copied().collect(), of_then));
}

pub(super) async fn pages_follow_each_other_without_a_gap(store: impl TrailStore) {
    let now = Utc::now();
    let recorded = changes(async |trails| {
        for number in 0..25 {
            // Some began at the same moment.
            let started_at = now + TimeDelta::seconds(number / 2);
            begin(trails, &format!("m{number:02}"), "p", started_at);
        }
        begin(trails, "other", "q", now);
    })
    .await;
    write(&store, &recorded).await;
    let (mut found, mut older) = (Vec::new(), None);
    loop {
        let page = store
            .list("p", older, PageSize::new(7).unwrap())
            .await
            .unwrap();
        found.extend(page.trails.iter().map(|trail| trail.message_id.to_string()));
        older = page.older.map(|cursor| cursor.to_string().parse().unwrap());
        if older.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (0..25)
        .rev()
        .map(|number| format!("m{number:02}"))
        .collect();
    assert_eq!(found, expected);
}

pub(super) async fn batches_at_the_same_time_count_every_call_once(store: impl TrailStore) {
    let recorded = changes(async |trails| {
        for number in 0..40 {
            let message = format!("m{number}");
            begin(trails, &message, "p", Utc::now());
            let cost = Some(dollars("0.1", "0.2"));
            trails.complete(&id(&message), Usage::new(1, 1), cost, Vec::new());
        }
    })
    .await;
    let store = Arc::new(store);
    let mut writers = JoinSet::new();
    for number in 0..8 {
        let (store, mut batch) = (Arc::clone(&store), recorded.clone());
        // Each in an order of its own, and some of them twice.
        batch.rotate_left(number * 7);
        if number % 2 == 0 {
            batch.reverse();
        }
        writers.spawn(async move {
            for changes in batch.chunks(11) {
                while let Err(error) = store.append(changes).await {
                    assert!(error.is_transient(), "{error:?}");
                }
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let total = store.analytics("p", all_days()).await.unwrap().total;
    assert_eq!(
        (total.calls, total.completed, total.total_tokens),
        (40, 40, 80)
    );
    assert_eq!(total.costs[&Currency::USD].claimed, Decimal::from(12));
}

pub(super) async fn what_is_old_is_deleted_by_itself(store: impl TrailStore) {
    let ages = [("old", 8), ("young", 6)];
    let recorded = changes(async |trails| {
        for (message, days) in ages {
            begin(trails, message, "p", Utc::now() - TimeDelta::days(days));
            trails.complete(&id(message), Usage::new(1, 1), None, Vec::new());
        }
    })
    .await;
    write(&store, &recorded).await;
    let trails = Trails::new(store);
    while trails.get(&id("old")).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    assert!(trails.get(&id("young")).await.unwrap().is_some());
    let analytics = trails.analytics("p", all_days()).await.unwrap();
    assert_eq!(analytics.total.calls, 2);
}

pub(super) async fn projects_are_named_in_their_order(store: impl TrailStore) {
    let names = ["b", "A", "a", "é", "!", "a-1"];
    let recorded = changes(async |trails| {
        for (number, project) in (1..).zip(names) {
            begin(trails, &format!("m{number}"), project, Utc::now());
            begin(trails, &format!("n{number}"), project, Utc::now());
        }
    })
    .await;
    write(&store, &recorded).await;
    let size = PageSize::new(4).unwrap();
    let first = store.projects(None, size).await.unwrap();
    assert_eq!(first, ["!", "A", "a", "a-1"]);
    let rest = store.projects(Some("a-1"), size).await.unwrap();
    assert_eq!(rest, ["b", "é"]);
}

pub(super) async fn a_call_that_is_recorded_when_it_is_over_ended_when_it_did(
    store: impl TrailStore,
) {
    let began = time("2026-11-02T10:00:00Z");
    let ended = began + TimeDelta::milliseconds(1_500);
    let recorded = changes(async |trails| {
        let answered = Update::new().completed_at(ended);
        let refused = Update::new().failed_at(ended, "no");
        for (message, update) in [("answered", answered), ("refused", refused)] {
            begin(trails, message, "p", began);
            trails.update(&id(message), update);
        }
    })
    .await;
    write(&store, &recorded).await;
    let (answered, refused) = (get(&store, "answered").await, get(&store, "refused").await);
    assert_eq!(answered.status, TrailStatus::Completed);
    assert_eq!(
        (refused.status, refused.error.as_deref()),
        (TrailStatus::Failed, Some("no"))
    );
    for trail in [answered, refused] {
        assert_eq!(trail.latency(), Some(ended - began));
    }
}

pub(super) async fn the_calls_of_a_request_are_found_the_oldest_first(store: impl TrailStore) {
    let (event, other) = (EventId::now(), EventId::now());
    let now = Utc::now();
    let recorded = changes(async |trails| {
        for (message, event_id, minutes) in [
            ("later", Some(event), 1),
            ("first", Some(event), 3),
            ("at the same time", Some(event), 1),
            ("of another", Some(other), 2),
            ("of none", None, 2),
        ] {
            let placeholder = Trail::placeholder(message, message, "m").unwrap();
            let placeholder = placeholder.started_at(now - TimeDelta::minutes(minutes));
            trails.begin(match event_id {
                Some(event_id) => placeholder.event_id(event_id),
                None => placeholder,
            });
        }
    })
    .await;
    write(&store, &recorded).await;
    let found = async |event, most| {
        let size = PageSize::new(most).unwrap();
        let found = store.of_event(event, size).await.unwrap();
        let ids = found.iter().map(|trail| trail.message_id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(
        found(event, 9).await,
        ["first", "at the same time", "later"]
    );
    assert_eq!(found(event, 1).await, ["first"]);
    assert_eq!(found(EventId::now(), 9).await, [""; 0]);
}
