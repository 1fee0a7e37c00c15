//! What a policy decides, and what is no policy.

use http::Method;
use serde_json::{Value, json};
use tower_audit_core::{ActorKind, EventId, Outcome};

use super::{Bodies, Capture, Otherwise, Plan, Policy, PolicyError, Rule, Subject};
use crate::mode::Mode;

fn policy(rules: impl IntoIterator<Item = Rule>) -> Policy {
    let builder = rules
        .into_iter()
        .fold(Policy::builder(), |builder, rule| builder.rule(rule));
    builder.build().unwrap()
}

fn get(path: &str) -> Subject<'_> {
    Subject::new(Method::GET, path)
}

fn decides(policy: &Policy, subject: &Subject<'_>) -> Option<usize> {
    policy.explain(subject).rule()
}

/// Returns whether the request of this id is recorded.
fn records(policy: &Policy, subject: &Subject<'_>, id: EventId) -> bool {
    let how = policy.verdict(subject).recorded();
    how.is_some_and(|how| how.samples(subject, || id))
}

fn is_recorded(policy: &Policy, subject: &Subject<'_>) -> bool {
    let is_recorded = records(policy, subject, EventId::now());
    assert_eq!(policy.explain(subject).is_recorded(), is_recorded);
    is_recorded
}

fn plan(policy: &Policy, method: Method, path: &str, route: Option<&str>) -> Plan {
    let subject = Subject::arriving(method, path);
    policy.plan(&match route {
        Some(route) => subject.route(route),
        None => subject,
    })
}

#[test]
fn by_default_mutations_and_denials_are_recorded_and_plain_reads_are_not() {
    let policy = Policy::default();
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPPATCH"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert!(
            is_recorded(&policy, &Subject::new(method.clone(), "/").status(500)),
            "{method}"
        );
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::CONNECT] {
        assert!(
            !is_recorded(&policy, &Subject::new(method.clone(), "/")),
            "{method}"
        );
        assert!(
            is_recorded(&policy, &Subject::new(method.clone(), "/").status(403)),
            "{method}"
        );
    }
}

#[test]
fn everything_is_everything_and_annotated_only_leaves_out_even_denials() {
    assert!(is_recorded(&Policy::everything(), &get("/")));
    let denied = Subject::new(Method::POST, "/").status(403);
    assert!(!is_recorded(&Policy::annotated_only(), &denied));
}

#[test]
fn the_first_rule_that_holds_decides() {
    let policy = policy([
        Rule::record("failures").outcomes([Outcome::Failure]),
        Rule::skip("posts").methods([Method::POST]),
        Rule::record("all"),
    ]);
    assert_eq!(
        decides(&policy, &Subject::new(Method::POST, "/").status(500)),
        Some(1)
    );
    assert_eq!(decides(&policy, &Subject::new(Method::POST, "/")), Some(2));
    assert_eq!(decides(&policy, &get("/")), Some(3));
    assert!(!is_recorded(&policy, &Subject::new(Method::POST, "/")));
}

#[test]
fn each_condition_holds_of_what_it_names_and_of_nothing_else() {
    let holds = |rule: Rule, subject: Subject<'_>| decides(&policy([rule]), &subject).is_some();
    let rule = || Rule::record("it");
    assert!(holds(rule().methods([Method::GET]), get("/")));
    assert!(!holds(rule().methods([Method::HEAD]), get("/")));
    assert!(holds(rule().route("/a/*"), get("/a/7").route("/a/{id}")));
    assert!(!holds(rule().route("/a/*"), get("/a/7").route("/b/{id}")));
    assert!(!holds(rule().route("/**"), get("/a/7")));
    assert!(holds(rule().path_prefix("/a"), get("/a")));
    assert!(holds(rule().path_prefix("/a/"), get("/a/b")));
    assert!(!holds(rule().path_prefix("/a"), get("/ab")));
    assert!(holds(
        rule().actors([ActorKind::User]),
        get("/").actor(ActorKind::User)
    ));
    assert!(!holds(rule().actors([ActorKind::User]), get("/")));
    assert!(holds(
        rule().outcomes([Outcome::Aborted]),
        get("/").outcome(Outcome::Aborted)
    ));
    assert!(holds(rule().status("4xx"), get("/").status(499)));
    assert!(!holds(rule().status("4xx"), get("/").status(500)));
    assert!(holds(rule().status("500-504"), get("/").status(504)));
    assert!(holds(
        rule().status("404").status("410"),
        get("/").status(410)
    ));
    assert!(!holds(rule().status("2xx"), get("/").maybe_status(None)));
    assert!(holds(rule().tenant("acme"), get("/").tenant("acme")));
    assert!(!holds(rule().tenant("acme"), get("/")));
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    let policy = policy([Rule::skip("it").methods([Method::GET]).path_prefix("/a")]);
    assert_eq!(decides(&policy, &get("/b")), None);
    assert_eq!(decides(&policy, &Subject::new(Method::PUT, "/a")), None);
    assert_eq!(decides(&policy, &get("/a")), Some(1));
}

#[test]
fn health_checks_are_skipped() {
    let policy = policy([Rule::ignore_health_checks(), Rule::record("all")]);
    for path in [
        "/health",
        "/healthz",
        "/livez",
        "/readyz",
        "/ping",
        "/health/db",
    ] {
        assert!(!is_recorded(&policy, &get(path)), "{path}");
    }
    assert!(is_recorded(&policy, &get("/healthcare")));
    assert!(is_recorded(&policy, &Subject::new(Method::POST, "/health")));
    assert_eq!(
        plan(&policy, Method::GET, "/healthz", None).mode,
        Mode::Background
    );
}

#[test]
fn a_path_with_dot_segments_is_not_skipped_for_how_it_begins() {
    let policy = policy([
        Rule::skip("health").path_prefix("/healthz"),
        Rule::record("all"),
    ]);
    for path in [
        "/healthz/../payments",
        "/healthz/%2e%2E/payments",
        "/healthz/..%2fpayments",
        "/healthz/..\\payments",
        "/healthz/./x",
        "/healthz/..;/payments",
        "/healthz/%2e%2e;x=1/payments",
        "/healthz/..%3b/payments",
        "/healthz/%252e%252e/payments",
        "/healthz/..%00/payments",
        "/healthz/..%20/payments",
    ] {
        assert!(
            is_recorded(&policy, &Subject::new(Method::POST, path)),
            "{path}"
        );
    }
    assert!(!is_recorded(&policy, &get("/healthz/a.b/..c")));
    let text = policy.explain(get("/healthz/../x")).to_string();
    assert!(text.contains("has dot segments"), "{text}");
}

#[test]
fn what_is_ignored_is_explained() {
    let policy = policy([Rule::ignore("all")]);
    assert!(!is_recorded(&policy, &get("/")));
    let text = policy.explain(get("/")).to_string();
    assert!(text.ends_with("rule 1 \"all\": yes, ignored"), "{text}");
}

#[test]
fn a_path_with_dot_segments_is_not_ignored_for_how_it_begins() {
    let policy = policy([Rule::ignore_health_checks(), Rule::record("all")]);
    assert!(is_recorded(&policy, &get("/healthz/../payments")));
}

#[test]
fn a_path_with_dot_segments_is_not_ignored_for_its_route() {
    let policy = policy([
        Rule::ignore("static").route("/static/**"),
        Rule::record("all"),
    ]);
    let subject = |path| get(path).route("/static/{*path}");
    assert!(is_recorded(&policy, &subject("/static/../payments")));
    assert!(!is_recorded(&policy, &subject("/static/a.css")));
}

#[test]
fn a_mode_may_stand_behind_a_rule_that_ignores() {
    let pay = Rule::record("pay").mode(Mode::Strict);
    let policy = policy([Rule::ignore("reads").methods([Method::GET]), pay]);
    assert_eq!(plan(&policy, Method::POST, "/", None).mode, Mode::Strict);
    assert_eq!(plan(&policy, Method::GET, "/", None), Plan::default());
}

#[test]
fn a_header_that_two_rules_may_ask_for_is_kept_once() {
    let capture = || Capture::metadata().headers(["x-a", "X-A"]);
    let policy = policy([
        Rule::record("failures")
            .outcomes([Outcome::Failure])
            .capture(capture()),
        Rule::record("all").capture(capture()),
    ]);
    assert_eq!(plan(&policy, Method::GET, "/", None).headers, ["x-a"]);
}

#[test]
fn a_mode_behind_a_rule_that_may_skip_too_late_is_refused() {
    let built = |skip: Rule, record: Rule| {
        Policy::builder()
            .rule(skip)
            .rule(record.mode(Mode::Strict))
            .build()
    };
    let keys = || Rule::skip("keys").actors([ActorKind::ApiKey]);
    let error = built(keys(), Rule::record("all")).unwrap_err().to_string();
    assert!(
        error.contains("rule 2 \"all\"") && error.contains("rule 1 \"keys\""),
        "{error}"
    );
    assert!(
        built(
            keys().methods([Method::GET]),
            Rule::record("posts").methods([Method::POST])
        )
        .is_ok()
    );
    assert!(
        built(
            keys().path_prefix("/a"),
            Rule::record("b").path_prefix("/b")
        )
        .is_ok()
    );
    assert!(
        built(
            keys().path_prefix("/a"),
            Rule::record("b").path_prefix("/a/b")
        )
        .is_err()
    );
    assert!(built(keys().route("/a"), Rule::record("b").route("/b")).is_ok());
    assert!(built(keys().route("/a/*"), Rule::record("b").route("/a/b")).is_err());
    assert!(built(Rule::ignore_health_checks(), Rule::record("all")).is_ok());
}

#[test]
fn a_sample_is_of_successful_reads_only() {
    let half = policy([Rule::record("half").sample(0.5)]);
    let count = |subject: &Subject<'_>| {
        (0..2_000)
            .filter(|_| records(&half, subject, EventId::now()))
            .count()
    };
    let sampled = count(&get("/"));
    assert!((800..1_200).contains(&sampled), "{sampled}");
    assert_eq!(count(&get("/").status(404)), 2_000);
    assert_eq!(count(&Subject::new(Method::POST, "/")), 2_000);
    let none = policy([Rule::record("none").sample(0.0)]);
    assert!(!records(&none, &get("/"), EventId::now()));
}

#[test]
fn a_sample_decides_the_same_for_the_same_id() {
    let half = policy([Rule::record("half").sample(0.5)]);
    let id = EventId::now();
    let first = records(&half, &get("/"), id);
    assert!((0..100).all(|_| records(&half, &get("/"), id) == first));
}

#[test]
fn what_may_be_needed_is_planned_and_nothing_else() {
    let policy = policy([
        Rule::record("failures")
            .outcomes([Outcome::Failure])
            .capture(
                Capture::metadata()
                    .request_body(Bodies::OnFailure)
                    .headers(["x-a"]),
            ),
        Rule::record("payments")
            .route("/payments/**")
            .mode(Mode::Durable)
            .capture(
                Capture::metadata()
                    .response_body(Bodies::Always)
                    .headers(["x-b"]),
            ),
        Rule::record("never reached for payments").mode(Mode::Strict),
    ]);
    let payment = plan(&policy, Method::POST, "/payments", Some("/payments"));
    assert_eq!(payment.mode, Mode::Durable);
    assert!(payment.is_certain && payment.has_request_body && payment.has_response_body);
    assert_eq!(payment.headers, ["x-a", "x-b"]);
    let other = plan(&policy, Method::POST, "/x", Some("/x"));
    assert_eq!(other.mode, Mode::Strict);
    assert!(!other.has_response_body);
}

#[test]
fn a_request_is_certain_to_be_recorded_only_if_it_is_however_it_ends() {
    let is_certain = |rules: Vec<Rule>, method| {
        let policy = if rules.is_empty() {
            Policy::default()
        } else {
            policy(rules)
        };
        plan(&policy, method, "/x", Some("/x")).is_certain
    };
    assert!(is_certain(vec![], Method::POST));
    assert!(!is_certain(vec![], Method::GET));
    let of_keys = || Rule::skip("keys").actors([ActorKind::ApiKey]);
    assert!(!is_certain(vec![of_keys()], Method::POST));
    assert!(!is_certain(vec![Rule::skip("all")], Method::POST));
    assert!(is_certain(vec![Rule::record("all")], Method::GET));
    assert!(!is_certain(
        vec![Rule::record("some").sample(0.5)],
        Method::GET
    ));
    assert!(!is_certain(
        vec![Rule::record("denied").outcomes([Outcome::Denied])],
        Method::GET
    ));
}

#[test]
fn a_route_that_is_not_known_yet_may_be_any() {
    let strict = policy([Rule::record("it").route("/payments/**").mode(Mode::Strict)]);
    assert_eq!(
        plan(&strict, Method::GET, "/payments", None).mode,
        Mode::Strict
    );
}

fn parsed(value: Value) -> Result<Policy, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[test]
fn a_policy_reads_the_same_from_toml_json_and_code() {
    let from_toml: Policy = toml::from_str(
        r#"
        otherwise = "skip"
        [[rules]]
        name = "payments"
        when = { method = ["post"], route = ["/payments/**"], path_prefix = ["/payments"] }
        then = "record"
        mode = "strict"
        capture = { headers = ["x-a"], query = true, request_body = "always", response_body = "on_failure" }
        [[rules]]
        when = { actor = ["user"], outcome = ["success"], status = ["4xx", 500], tenant = ["acme"] }
        then = "record"
        sample = 0.25
        [[rules]]
        name = "rest"
        then = "skip"
        "#,
    )
    .unwrap();
    let from_json = parsed(json!({"otherwise": "skip", "rules": [
        {"name": "payments", "when": {"method": ["POST"], "route": ["/payments/**"], "path_prefix": ["/payments"]},
         "then": "record", "mode": "strict",
         "capture": {"headers": ["X-A"], "query": true, "request_body": "always", "response_body": "on_failure"}},
        {"when": {"actor": ["user"], "outcome": ["success"], "status": ["400-499", "500"], "tenant": ["acme"]}, "then": "record", "sample": 0.25},
        {"name": "rest", "then": "skip"},
    ]}));
    let capture = Capture::metadata().headers(["x-a"]).query();
    let capture = capture
        .request_body(Bodies::Always)
        .response_body(Bodies::OnFailure);
    let payments = Rule::record("payments")
        .methods([Method::POST])
        .route("/payments/**")
        .path_prefix("/payments");
    let of_users = Rule::record("")
        .actors([ActorKind::User])
        .outcomes([Outcome::Success]);
    let in_code = Policy::builder()
        .rule(payments.mode(Mode::Strict).capture(capture))
        .rule(
            of_users
                .status("4xx")
                .status("500")
                .tenant("acme")
                .sample(0.25),
        )
        .rule(Rule::skip("rest"))
        .otherwise(Otherwise::Skip)
        .build();
    assert_eq!(from_toml, in_code.unwrap());
    assert_eq!(from_json, Ok(from_toml));
}

#[test]
fn what_cannot_be_meant_is_refused_and_the_rule_is_named() {
    let refused = |rule: Value, says: &[&str]| {
        let rules = json!({"rules": [{"name": "first", "when": {"method": ["PATCH"]}, "then": "record"}, rule]});
        let error = parsed(rules).unwrap_err();
        for text in says {
            assert!(error.contains(text), "{error:?} does not say {text:?}");
        }
    };
    let named = "rule 2 \"it\"";
    refused(
        json!({"name": "it", "then": "skip", "whenn": {}}),
        &[named, "`whenn`", "`when`"],
    );
    refused(
        json!({"name": "it", "when": {"pathprefix": ["/a"]}, "then": "skip"}),
        &[named, "`when.pathprefix`", "`path_prefix`"],
    );
    refused(
        json!({"name": "it", "capture": {"header": ["a"]}, "then": "record"}),
        &[named, "`capture.header`", "`headers`"],
    );
    refused(
        json!({"name": "it", "when": {"method": []}, "then": "skip"}),
        &[named, "`when.method` is empty"],
    );
    refused(
        json!({"name": "it", "when": {"method": ["GE T"]}, "then": "skip"}),
        &[named, "is no method"],
    );
    refused(
        json!({"name": "it", "when": {"route": ["projects"]}, "then": "skip"}),
        &[named, "slash"],
    );
    refused(
        json!({"name": "it", "when": {"route": ["/api/v*"]}, "then": "skip"}),
        &[named, "whole part"],
    );
    refused(
        json!({"name": "it", "when": {"path_prefix": ["/a/*"]}, "then": "skip"}),
        &[named, "beginning of a path"],
    );
    for status in [
        json!("6yy"),
        json!("0xx"),
        json!("500-400"),
        json!(42),
        json!("-"),
        json!("99xx"),
    ] {
        refused(
            json!({"name": "it", "when": {"status": [status]}, "then": "skip"}),
            &[named, "no status"],
        );
    }
    refused(
        json!({"name": "it", "then": "record", "sample": 1.5}),
        &[named, "from 0.0 to 1.0"],
    );
    refused(
        json!({"name": "it", "when": {"method": ["PUT"]}, "then": "record", "sample": 0.5}),
        &[named, "holds for none"],
    );
    refused(
        json!({"name": "it", "then": "record", "mode": "durable", "sample": 0.5}),
        &[named, "Durable", "sample"],
    );
    refused(
        json!({"name": "it", "then": "skip", "mode": "durable"}),
        &[named, "it skips"],
    );
    refused(
        json!({"name": "it", "then": "ignore", "sample": 0.5}),
        &[named, "it ignores"],
    );
    for late in [
        json!({"outcome": ["success"]}),
        json!({"status": ["2xx"]}),
        json!({"actor": ["user"]}),
        json!({"tenant": ["a"]}),
    ] {
        refused(
            json!({"name": "it", "when": late, "then": "ignore"}),
            &[named, "it ignores", "let it skip"],
        );
    }
    refused(
        json!({"name": "it", "when": {"outcome": ["denied"]}, "then": "record", "mode": "strict"}),
        &[named, "Strict", "before the handler runs"],
    );
    refused(
        json!({"name": "it", "capture": {"headers": ["a b"]}, "then": "record"}),
        &[named, "no name of a header"],
    );
    refused(
        json!({"name": "it", "when": {"outcome": ["pending"]}, "then": "record"}),
        &[named, "no request has ended pending"],
    );
    refused(
        json!({"when": {"outcome": ["bad"]}, "then": "record"}),
        &["rule 2: ", "`success`"],
    );
    refused(json!({"then": "recrod"}), &["rule 2: ", "`record`"]);
    refused(
        json!({"then": "skip", "when": {"method": null}}),
        &["rule 2: ", "null"],
    );
    refused(
        json!({"then": "skip", "when": {"status": [1.5]}}),
        &["rule 2: ", "4xx"],
    );
    for method in ["POST|PUT", "*"] {
        refused(
            json!({"name": "it", "when": {"method": [method]}, "then": "skip"}),
            &[named, "each one by itself"],
        );
    }
    for path in ["/p/{id}", "/a b", "/a#b", "//"] {
        refused(
            json!({"name": "it", "when": {"path_prefix": [path]}, "then": "skip"}),
            &[named, "beginning of a path"],
        );
    }
    refused(
        json!({"name": "it", "when": {"route": ["/p/:id"]}, "then": "skip"}),
        &[named, "{id}"],
    );
    refused(
        json!({"name": "it", "when": {"outcome": ["failure"]}, "then": "record", "sample": 0.5}),
        &[named, "holds for none"],
    );
    refused(
        json!({"then": "skip", "when": {"method": ["PATCH"], "status": ["5xx"]}}),
        &["rule 2", "never be reached", "rule 1 \"first\""],
    );
}

#[test]
fn a_policy_without_rules_or_with_other_keys_is_refused() {
    let built = Policy::builder().build().unwrap_err();
    assert_eq!(built, PolicyError::NoRules);
    assert!(
        parsed(json!({"rules": []}))
            .unwrap_err()
            .contains("no rules")
    );
    assert!(parsed(json!({})).unwrap_err().contains("no rules"));
    assert_eq!(
        parsed(json!({"otherwise": "record"})),
        Ok(Policy::everything())
    );
    let unknown = json!({"rule": [{"then": "skip"}], "rules": [{"then": "skip"}]});
    assert!(parsed(unknown).unwrap_err().contains("`rule`"));
    assert!(
        parsed(json!({"rules": [{"name": "a"}]}))
            .unwrap_err()
            .contains("then")
    );
}

#[test]
fn a_rule_that_another_one_hides_is_refused_and_one_that_it_does_not_is_not() {
    let hidden = |first: Rule, second: Rule| {
        let built = Policy::builder().rule(first).rule(second).build();
        matches!(built, Err(PolicyError::Unreachable { .. }))
    };
    let (a, b) = (|| Rule::record("a"), || Rule::skip("b"));
    assert!(hidden(a(), b()));
    assert!(hidden(a(), b().methods([Method::GET])));
    assert!(hidden(a().route("/a/**"), b().route("/a/{id}")));
    assert!(hidden(a().path_prefix("/a"), b().path_prefix("/a/b")));
    assert!(hidden(a().status("4xx"), b().status("404")));
    assert!(hidden(a().path_prefix("/"), b()));
    assert!(hidden(
        a().methods([Method::GET, Method::PUT]),
        b().methods([Method::PUT]).tenant("x")
    ));
    assert!(!hidden(a().methods([Method::GET]), b()));
    assert!(!hidden(
        a().methods([Method::GET]),
        b().methods([Method::GET, Method::PUT])
    ));
    assert!(!hidden(a().route("/a/*"), b().route("/a/**")));
    assert!(!hidden(a().path_prefix("/a/b"), b().path_prefix("/a")));
    assert!(!hidden(a().status("404"), b().status("4xx")));
    assert!(!hidden(
        a().actors([ActorKind::User]),
        b().outcomes([Outcome::Success])
    ));
}

#[test]
fn a_request_can_be_explained_as_it_is() {
    let policy = policy([Rule::skip("health checks").path_prefix("/healthz")]);
    let request = http::Request::get("/healthz?full").body(()).unwrap();
    assert_eq!(policy.explain(&request).rule(), Some(1));
}

#[test]
fn an_explanation_says_why_each_rule_did_not_hold() {
    let capture = Capture::metadata()
        .query()
        .request_body(Bodies::OnFailure)
        .headers(["x-a"]);
    let policy = policy([
        Rule::record("keys").actors([ActorKind::ApiKey]),
        Rule::record("server errors").status("5xx").status("418"),
        Rule::record("acme").tenant("acme"),
        Rule::record("reads")
            .methods([Method::GET])
            .capture(capture)
            .sample(0.1),
    ]);
    let subject = get("/projects/7")
        .route("/projects/{id}")
        .actor(ActorKind::User);
    assert_eq!(
        policy.explain(&subject).to_string(),
        [
            "GET /projects/7 on route /projects/{id}, by user: success, status 200",
            "  rule 1 \"keys\": no, actor user is not api_key",
            "  rule 2 \"server errors\": no, status 200 is not 500-599 or 418",
            "  rule 3 \"acme\": no, there is no tenant, and it must be acme",
            "  rule 4 \"reads\": yes, recorded, mode Background, with headers (x-a), query, request body on failure, \
             10.0 % of its successful reads",
        ]
        .join("\n")
    );
    let deleted = Subject::new(Method::DELETE, "/x")
        .maybe_status(None)
        .tenant("a");
    let text = policy.explain(&deleted).to_string();
    assert!(
        text.ends_with("  otherwise mutations_and_denials: recorded"),
        "{text}"
    );
    assert!(
        text.contains("there is no status, and it must be 500-599 or 418"),
        "{text}"
    );
}
