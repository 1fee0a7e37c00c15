//! The syntax: what parses to what, what is refused and how, and that text survives.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::AuditEvent;

fn now() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn parse(text: &str) -> Filter {
    Filter::parse(text, now()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    Filter::parse(text, now()).unwrap_err().to_string()
}

/// An event with every field set.
fn full() -> AuditEvent {
    serde_json::from_value(json!({
        "id": "019a9e3c-7d2e-7c4b-8f00-0123456789ab", "created_at": "2026-11-21T10:00:00.123456Z",
        "actor_type": "user", "actor_id": "alice", "action": "project.delete",
        "target_type": "project", "target_id": "7", "outcome": "denied", "reason": "not_owner",
        "metadata": {"plan": "pro", "seats": 5, "on": true, "none": null, "tags": ["a", 1], "a b": {"c.d": "x*"}},
        "ip_address": "192.0.2.1", "user_agent": "curl/8 (x, \"y\")", "status": 403,
        "method": "DELETE", "route": "/projects/{id}", "path": "/projects/7", "duration_us": 1500,
        "request_id": "r-1", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "tenant_id": "acme",
        "actor_name": "Alice", "auth_method": "oidc", "credential_id": "k-1", "on_behalf_of": "bob",
        "peer_address": "2001:db8::1", "service": "shop@1.0.0", "captured": {"query": {"page": "2"}},
        "recorded_at": "2026-11-21T10:00:00.2Z"
    }))
    .unwrap()
}

/// Searches that the event above passes, each with one that it does not: every key is there.
const PAIRS: &[(&str, &str)] = &[
    (
        "id:019a9e3c-7d2e-7c4b-8f00-0123456789ab",
        "id:019a9e3c-7d2e-7c4b-8f00-0123456789ac",
    ),
    ("actor:alice", "actor:Alice"),
    ("actor_id:bob,alice", "actor:bob,carol"),
    ("kind:user", "kind:api_key,system"),
    ("name:Al*", "name:al*"),
    ("auth:oidc", "-auth:oidc"),
    ("credential:k-1", "-credential:*"),
    ("behalf:bob", "behalf:alice"),
    ("action:project.*", "action:projects.*"),
    ("target:7", "target:\"\""),
    ("target:*", "-target:*"),
    ("type:project", "type:team"),
    ("outcome:denied,failure", "-outcome:denied"),
    ("-outcome:success", "outcome:success"),
    ("reason:not_owner", "reason:not*er_*"),
    ("created:2026-11-21", "created:2026-11-20"),
    ("created:2026-11", "created:2025"),
    ("created:2026-11-21T10:00Z", "created:2026-11-21T10:01Z"),
    (
        "created:2026-11-21T11:00:00.1+01:00",
        "created:2026-11-21T10:00:00.2Z",
    ),
    ("created:-3h..", "created:-1h.."),
    ("created:-3h..-90m", "created:..-3h"),
    ("created:today", "created:yesterday"),
    (
        "created:2026-11-20..2026-11-21",
        "created:2026-11-01..2026-11-20",
    ),
    ("created:>2026-11-20", "created:>2026-11-21"),
    ("created:>=2026-11-21,2025", "created:<2026-11-21"),
    ("created:<=2026-11-21", "created:..2026-11-20"),
    (
        "recorded:2026-11-21T10:00:00.2Z",
        "recorded:2026-11-21T10:00:01Z",
    ),
    ("ip:192.0.2.0/24", "ip:192.0.3.0/24,10.0.0.0/8"),
    ("ip:::ffff:192.0.2.1", "ip:192.0.2.2"),
    ("peer:2001:db8::/32", "peer:2001:db9::/32"),
    ("agent:curl*", "-agent:curl*"),
    ("agent:\"curl/8 (x, \\\"y\\\")\"", "agent:\"curl/8\""),
    ("status:403", "status:404"),
    ("status:4xx", "status:5xx"),
    ("status:400..403", "status:404..500"),
    ("status:>=403", "status:>403"),
    ("method:DELETE", "method:delete"),
    ("route:/projects/{id}", "route:/projects/7"),
    ("path:/projects/*", "path:/teams/*"),
    ("duration:1ms", "duration:2ms"),
    ("duration:>1ms", "duration:>1500us"),
    ("duration:1ms..2ms", "duration:..1ms"),
    ("request:r-1", "request:r-2"),
    ("trace:4bf92f3577b34da6a3ce929d0e0e4736", "-trace:*"),
    ("tenant:acme", "tenant:ac"),
    ("service:shop@*", "service:shop"),
    ("meta.plan:pro", "meta.plan:free"),
    ("meta.seats:5", "meta.seats:50"),
    ("meta.on:true", "meta.on:false"),
    ("meta.none:null", "meta.on:null"),
    ("meta.tags:a,b", "meta.tags:b"),
    ("meta.tags:1", "meta.tags:2"),
    ("meta.\"a b\".\"c.d\":\"x*\"", "meta.\"a b\".c.d:*"),
    ("meta.plan:p*", "meta.seats:5*"),
    ("meta.plan:*", "meta.plans:*"),
    (
        "metadata:{\"plan\": \"pro\", \"tags\": [1]}",
        "meta:{\"plan\": \"pro\", \"tags\": [2]}",
    ),
    ("captured.query.page:2", "captured.query.page:3"),
    ("captured:*", "-captured:*"),
];

#[test]
fn each_key_finds_what_it_names_and_nothing_else() {
    let event = full();
    for (passes, fails) in PAIRS {
        assert!(parse(passes).matches(&event), "{passes}");
        if *fails == "reason:not*er_*" {
            continue;
        }
        assert!(!parse(fails).matches(&event), "{fails}");
    }
    for field in Field::ALL {
        let key = format!("{}:", field.key());
        let column = format!("{}:", field.column());
        let asks = |search: &str| {
            search.starts_with(&key)
                || search.starts_with(&column)
                || search.starts_with(&key.replace(':', "."))
        };
        assert!(
            PAIRS.iter().any(|(passes, _)| asks(passes)),
            "{key} has no example"
        );
    }
}

#[test]
fn a_search_survives_its_text() {
    for (one, other) in PAIRS {
        for text in [one, other] {
            if let Ok(filter) = Filter::parse(text, now()) {
                assert_eq!(parse(&filter.to_string()), filter, "{text} became {filter}");
            }
        }
    }
}

#[test]
fn text_is_written_as_short_as_it_can_be() {
    for (text, short) in [
        (
            "  actor_id:\"alice\"   -outcome:success ",
            "actor:alice -outcome:success",
        ),
        (
            "created:2026-11-01T00:00Z..2026-11-30T23:59:59.999999Z",
            "created:2026-11-01..2026-11-30",
        ),
        (
            "created:2026-11-21T10:00:00Z..2026-11-21T10:04Z",
            "created:2026-11-21T10:00Z..2026-11-21T10:04Z",
        ),
        ("created:>=2026-11-21", "created:2026-11-21.."),
        (
            "status:400..499 duration:>=1000ms",
            "status:4xx duration:1s..",
        ),
        ("ip:10.1.2.3/8 peer:::1/128", "ip:10.0.0.0/8 peer:::1"),
        (
            "target:\"a\\\\b\" reason:\"x\\\"y\"",
            r#"target:a\b reason:"x\"y""#,
        ),
    ] {
        assert_eq!(parse(text).to_string(), short);
    }
}

/// Searches that are wrong, and how the message begins.
const WRONG: &[(&str, &str)] = &[
    (
        "actr:alice",
        "character 1: there is no key `actr`; did you mean `actor`?",
    ),
    (
        "actor:alice oucome:denied",
        "character 13: there is no key `oucome`; did you mean `outcome`?",
    ),
    (
        "outcome:denid",
        "character 9: `denid` is none of its words; did you mean `denied`?",
    ),
    (
        "kind:robot",
        "character 6: `robot` is none of its words; it is user, system, api_key, anonymous",
    ),
    (
        "alice",
        "character 1: `alice` stands alone; say what it is, such as actor:alice or target:alice or action:alice",
    ),
    (
        "10.0.0.1",
        "character 1: `10.0.0.1` stands alone; say what it is, such as ip:10.0.0.1",
    ),
    (
        "project.delete",
        "character 1: `project.delete` stands alone; say what it is, such as action:project.delete or target:project.delete",
    ),
    (
        "actor:",
        "character 7: a value is missing; write actor:value, actor:\"\" for the empty text, or actor:* for any",
    ),
    (
        "actor:a,",
        "character 9: a value is missing; write actor:value, actor:\"\" for the empty text, or actor:* for any",
    ),
    (
        "actor:\"al",
        "character 7: the quote is not closed; write \" at its end",
    ),
    (
        "actor:\"a\\n\"",
        r"character 9: a backslash in quotes stands before a quote or a backslash; write \\ for one",
    ),
    (
        "actor:a\"b",
        "character 8: `\"` cannot stand here; put all of the value between quotes, or a space before the next term",
    ),
    (
        "actor:*li",
        "character 7: a `*` stands only at the end, for any text that begins so; put the text between quotes if the star belongs to it",
    ),
    (
        "actor:alice actor:bob",
        "character 13: `actor` cannot be this and what stands before it; for either of them write actor:alice,bob",
    ),
    (
        "status:404 status:5xx",
        "character 12: `status` cannot be this and what stands before it; for either of them write status:404,5xx",
    ),
    (
        "status:many",
        "character 8: `many` is no number; write 404, 4xx, 400..499 or >=500",
    ),
    (
        "status:500..400",
        "character 8: `500..400` ends before it begins; write the smaller one first",
    ),
    (
        "status:<0",
        "character 8: `<0` ends before it begins; write the smaller one first",
    ),
    (
        "duration:<0ms",
        "character 10: `<0ms` ends before it begins; write the smaller one first",
    ),
    (
        "created:>9999",
        "character 9: `>9999` ends before it begins; write the smaller one first",
    ),
    (
        "created:<0001",
        "character 9: `<0001` ends before it begins; write the smaller one first",
    ),
    (
        "status:1000000000000000",
        "character 8: `1000000000000000` is no number; write 404, 4xx, 400..499 or >=500",
    ),
    (
        "duration:5",
        "character 10: `5` is no duration; write a whole number and us, ms, s, m or h, such as >500ms or 1s..2s",
    ),
    (
        "ip:10.0.0",
        "character 4: `10.0.0` is no address; write one, such as 192.0.2.1, or a network, such as 10.0.0.0/8",
    ),
    (
        "ip:10.0.*",
        "character 4: `10.0.` cannot be the beginning of one; leave the `*` out",
    ),
    (
        "id:7",
        "character 4: `7` is no event id; it is a UUID, such as 019a9e3c-7d2e-7c4b-8f00-0123456789ab",
    ),
    (
        "actor.name:x",
        "character 7: `actor` has no parts; write actor:…, or meta.key:… for what the app added",
    ),
    (
        "meta:pro",
        "character 6: `pro` is no object; write meta.key:value, or meta:{\"key\": \"value\"}",
    ),
    (
        "meta:{\"a\"",
        "character 6: this is no JSON object, or one with a number that is too large, or too much inside of one another; write one such as {\"plan\": \"pro\"}",
    ),
    (
        "meta:{}",
        "character 6: an empty object asks for nothing; name a key, such as {\"plan\": \"pro\"}",
    ),
    (
        "meta:{\"a\":[{}]}",
        "character 6: a list of lists or objects cannot be asked for; ask for their texts and numbers",
    ),
    (
        "meta.:x",
        "character 6: a key is missing; write meta.key:value",
    ),
    ("meta.a", "character 7: a value is missing; write meta:…"),
    (
        "é:x",
        "character 1: there is no key `é`; the keys are actor, kind",
    ),
    (
        "user:bob",
        "character 1: there is no key `user`; did you mean `actor`?",
    ),
    (
        "actor=alice",
        "character 1: `actor=alice` stands alone; write actor:alice",
    ),
    (
        "actor:a OR actor:b",
        "character 9: there is no `OR`; terms stand side by side, and all must hold; for one of two values write key:a,b",
    ),
    (
        "(actor:a)",
        "character 1: there are no parentheses; terms stand side by side",
    ),
    (
        "--actor:a",
        "character 2: there is one `-` too many; write -key:value",
    ),
    (
        "created:-24h",
        "character 9: `-24h` is a single moment; write -24h.. for all since then",
    ),
    (
        "meta.seats:>7",
        "character 12: what the app added is compared as it is, not by its size; put the text between quotes",
    ),
    (
        "meta:{\"a\":1e999}",
        "character 6: this is no JSON object, or one with a number that is too large",
    ),
];

#[test]
fn an_address_of_the_new_form_that_is_one_of_the_old_is_asked_for_as_it_is_kept() {
    for (written, kept) in [
        ("ip:::ffff:198.51.100.0/120", "ip:198.51.100.0/24"),
        ("ip:::ffff:198.51.100.10", "ip:198.51.100.10"),
        ("ip:::ffff:0:0/95", "ip:::fffe:0:0/95"),
    ] {
        assert_eq!(parse(written).to_string(), kept);
    }
}

#[test]
fn a_duration_may_be_of_hours() {
    assert_eq!(parse("duration:>1h"), parse("duration:>60m"));
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_what_to_write() {
    for (text, expected) in WRONG {
        let said = error(text);
        assert!(said.starts_with(expected), "{text}\n{said}\n{expected}");
    }
    for text in [
        "created:2026-13",
        "created:2026-02-30",
        "created:26-01-01",
        "created:2026-1-1",
        "created:..",
        "created:2026-11-21T25:00Z",
        "created:0000",
        "created:2026-11-21T10Z",
        "created:-5y..",
        "created:2026-01-01T00:00+25:00",
    ] {
        assert!(
            error(text).contains("is no time; write a day such as 2026-11-17"),
            "{text}"
        );
    }
    assert!(error(&"a".repeat(5_000)).contains("at most 4096 bytes"));
    assert!(error(&"-actor:a ".repeat(33)).contains("at most 32 terms"));
    let many: String = (0..40).map(|n| format!("a{n},")).collect();
    assert!(error(&format!("actor:{many}")).contains("at most 32 values"));
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9./{}:@-]{0,12}", "\\PC{0,8}", "[\"\\\\*, a-c]{0,6}",]
}

proptest! {
    #[test]
    fn whatever_a_filter_asks_for_it_survives_its_text(
        texts in prop::collection::vec(value(), 4),
        is_negated in any::<bool>(),
        numbers in (any::<Option<i64>>(), any::<Option<i64>>()),
        size in 0_i64..200,
    ) {
        let text = |n: usize| crate::event::Text::from(texts[n].as_str()).as_str().to_owned();
        let mut filter = Filter::new().actor_id(&texts[0]).target_id(&texts[1]).until(now());
        let mut path = Term::new(Field::Metadata, vec![Match::Is(text(2)), Match::Known]);
        path.path = vec!["a b".to_owned(), "plan".to_owned(), "é".to_owned()];
        path.is_negated = is_negated;
        let mut prefix = Term::new(Field::Action, vec![Match::Is(text(3)), Match::Prefix(text(2))]);
        // A prefix of nothing is what is known.
        prefix.any_of.retain(|wanted| *wanted != Match::Prefix(String::new()));
        let mut spans = Vec::new();
        for (field, least, most) in [(Field::Created, parse::EARLIEST, parse::LATEST), (Field::Duration, 0, 4_000_000_000), (Field::Status, 0, 100_000)] {
            let from = numbers.0.map(|n| n.rem_euclid(most - least) + least);
            let until = from.map_or(numbers.1.map(|n| n.rem_euclid(most - least) + least + 1), |from| Some((from + 1 + size).min(most)));
            if from.is_some() || until.is_some() {
                spans.push(Term::new(field, vec![Match::Within(Span { from, until })]));
            }
        }
        filter.terms.extend(spans.into_iter().map(|mut span| { span.is_negated = true; span }));
        filter.terms.push(path);
        filter.terms.push(prefix);
        let written = filter.to_string();
        prop_assert_eq!(Filter::parse(&written, now()).map_err(|error| format!("{written}: {error}")), Ok(filter));
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_what_parses_survives(text in "(-?(actor|meta|meta.a|created|status|ip|duration|outcome|id)(:|\\.)(\\PC|[0-9.T:Z{}\"*,<>=-]){0,12} ?){0,4}") {
        match Filter::parse(&text, now()) {
            Ok(filter) => prop_assert_eq!(parse(&filter.to_string()), filter),
            Err(error) => {
                prop_assert!(text.get(error.span()).is_some());
                prop_assert!(!error.hint().is_empty());
            }
        }
    }
}
