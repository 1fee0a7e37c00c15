//! Policies, and what is no policy.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::{Actor, AuditEvent, Outcome, Target};

fn now() -> DateTime<Utc> {
    "2026-11-22T02:00:00Z".parse().unwrap()
}

fn event(action: &str, outcome: Outcome, age: TimeDelta) -> AuditEvent {
    AuditEvent::builder(Actor::user("alice"), action, Target::new("session", 7))
        .outcome(outcome)
        .created_at(now() - age)
        .build()
}

#[test]
fn the_first_rule_that_an_event_passes_decides() {
    let policy = RetentionPolicy::builder()
        .rule("outcome:denied", Keep::Forever)
        .rule("action:session.*", Keep::days(90))
        .build()
        .unwrap();
    let keep = |action, outcome| policy.keep(&event(action, outcome, TimeDelta::zero()));
    assert_eq!(keep("session.create", Outcome::Denied), Keep::Forever);
    assert_eq!(keep("session.create", Outcome::Success), Keep::days(90));
    assert_eq!(keep("project.create", Outcome::Success), Keep::days(365));
}

#[test]
fn an_event_is_due_once_it_is_older_than_that_and_not_before() {
    let policy = RetentionPolicy::default();
    let is_due = |age| policy.is_due(&event("a.b", Outcome::Success, age), &[], now());
    assert!(!is_due(TimeDelta::days(365)));
    assert!(is_due(TimeDelta::days(365) + TimeDelta::microseconds(1)));
}

#[test]
fn what_is_held_is_never_due() {
    let policy = RetentionPolicy::default();
    let old = event("a.b", Outcome::Success, TimeDelta::days(4_000));
    let hold = |search: &str| {
        let filter = search.parse().unwrap();
        [Hold::new("case".to_owned(), filter, String::new(), now())]
    };
    assert!(!policy.is_due(&old, &hold("actor:alice"), now()));
    assert!(policy.is_due(&old, &hold("actor:bob"), now()));
}

#[test]
fn what_would_never_go_stays_for_ever() {
    let policy = RetentionPolicy::builder().default_keep(Keep::Forever);
    let policy = policy.build().unwrap();
    let old = event("a.b", Outcome::Success, TimeDelta::days(40_000));
    assert!(!policy.is_due(&old, &[], now()));
    assert_eq!(policy.shortest().cutoff(now()), None);
}

#[test]
fn what_is_no_policy_says_which_rule_and_what_to_do() {
    let of = |search: &str, keep| {
        RetentionPolicy::builder()
            .rule("outcome:denied", Keep::Forever)
            .rule(search, keep)
            .build()
            .unwrap_err()
            .to_string()
    };
    for (search, keep, said) in [
        (
            "actr:alice",
            Keep::days(90),
            "rule 2 of the retention policy is no search",
        ),
        (
            "created:2026",
            Keep::days(90),
            "rule 2 of the retention policy asks about time",
        ),
        (
            "",
            Keep::days(90),
            "rule 2 of the retention policy is about everything",
        ),
    ] {
        assert!(
            of(search, keep).contains(said),
            "{search}: {}",
            of(search, keep)
        );
    }
    let many = (0..101).fold(RetentionPolicy::builder(), |policy, n| {
        policy.rule(format!("actor:{n}"), Keep::Forever)
    });
    assert_eq!(many.build(), Err(RetentionPolicyError::TooMany));
}

#[test]
fn a_policy_is_data() {
    let text = r#"{"default":"730d","rules":[{"match":"action:session.*","keep":"90d"}]}"#;
    let policy: RetentionPolicy = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), text);
    let empty: RetentionPolicy = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, RetentionPolicy::default());
    for bad in [
        r#"{"defualt":"1d"}"#,
        r#"{"default":"1 day"}"#,
        r#"{"rules":[{"match":"actor:a"}]}"#,
    ] {
        assert!(
            serde_json::from_str::<RetentionPolicy>(bad).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn times_to_keep_are_written_as_people_do() {
    for (text, keep, written) in [
        ("90d", Keep::days(90), "90d"),
        ("12w", Keep::days(84), "84d"),
        ("7y", Keep::days(7 * 365), "2555d"),
        ("36h", Keep::Seconds(36 * 3_600), "36h"),
        ("90s", Keep::Seconds(90), "90s"),
        ("forever", Keep::Forever, "forever"),
    ] {
        assert_eq!(text.parse(), Ok(keep), "{text}");
        assert_eq!(keep.to_string(), written);
    }
    for bad in [
        "",
        "d",
        "90",
        "-1d",
        "1.5d",
        "90 d",
        "99999999d",
        "90days",
        "Forever",
        "٣d",
    ] {
        assert!(bad.parse::<Keep>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_time_to_keep_reads_back(seconds: u32) {
        let keep = Keep::Seconds(seconds);
        prop_assert_eq!(keep.to_string().parse(), Ok(keep));
    }
}

#[cfg(feature = "metrics")]
#[test]
fn a_report_is_published() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let mut report = RetentionReport::new(DateTime::UNIX_EPOCH, Vec::new());
    (report.deleted, report.left, report.held) = (7, Some(40), 2);
    ::metrics::with_local_recorder(&recorder, || report.publish());
    let all = snapshotter.snapshot().into_vec().into_iter();
    let mut published: Vec<(String, f64)> = all
        .map(|(key, _, _, value)| {
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(_) => f64::NAN,
            };
            (key.key().name().to_owned(), value)
        })
        .collect();
    published.sort_by(|a, b| a.0.cmp(&b.0));
    let named = |name: &str, value| (format!("tower_audit_retention_{name}"), value);
    assert_eq!(
        published,
        [
            named("deleted_total", 7.0),
            named("held", 2.0),
            named("last_run_seconds", 0.0),
            named("left", 40.0),
        ]
    );
}
