//! What is redacted, and what is left.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{HmacKey, HmacKeyError, Redaction, RedactionError, Treatment, hashed};

impl Redaction {
    fn is_secret_name(&self, name: &str) -> bool {
        self.of_name(name).is_some()
    }
}

fn body(redaction: &Redaction, mut value: Value) -> Value {
    redaction.json(&mut value);
    value
}

fn key() -> HmacKey {
    HmacKey::new("k1", [7; 32]).unwrap()
}

#[test]
fn the_names_of_secrets_are_known_in_any_dress() {
    for name in [
        "password",
        "PASSWORD",
        "user[password]",
        "new-password",
        "passwordConfirmation",
        "X-Api-Key",
        "api_key",
        "access_token",
        "refreshToken",
        "client-secret",
        "Authorization",
        "Set-Cookie",
        "sessionid",
        "stripe.signature",
        "pin",
        "CVV",
        "code",
        "pass",
        "db_pass",
        "newPin",
        "auth_code",
        "X-Auth-Key",
        "Ocp-Apim-Subscription-Key",
    ] {
        assert!(Redaction::default().is_secret_name(name), "{name}");
    }
    for name in [
        "name",
        "email",
        "author",
        "keyboard",
        "pinned",
        "encoded",
        "company",
        "accept",
        "status_code",
    ] {
        assert!(!Redaction::default().is_secret_name(name), "{name}");
    }
}

#[test]
fn a_secret_is_masked_at_any_depth_with_all_that_is_in_it() {
    let redacted = body(
        &Redaction::default(),
        json!({"user": [{"password": "hunter2", "name": "bob"}], "credentials": {"a": ["b"]}, "token": null, "pin": 1234}),
    );
    assert_eq!(
        redacted,
        json!({"user": [{"password": "[redacted]", "name": "bob"}], "credentials": "[redacted]", "token": null, "pin": "[redacted]"})
    );
}

#[test]
fn a_pointer_finds_its_places() {
    let redaction = Redaction::builder()
        .pointer("/users/*/email", Treatment::Drop)
        .pointer("/**/iban", Treatment::Mask)
        .pointer("/a~1b", Treatment::Mask)
        .build()
        .unwrap();
    let redacted = body(
        &redaction,
        json!({"users": [{"email": "a@b", "id": 1}], "email": "kept", "x": {"y": {"iban": "DE"}}, "iban": "DE", "a/b": 1}),
    );
    assert_eq!(
        redacted,
        json!({"users": [{"id": 1}], "email": "kept", "x": {"y": {"iban": "[redacted]"}}, "iban": "[redacted]", "a/b": "[redacted]"})
    );
}

#[test]
fn a_dropped_item_of_an_array_does_not_move_the_others_into_its_place() {
    let builder = Redaction::builder().pointer("/list/0", Treatment::Drop);
    let redacted = body(&builder.build().unwrap(), json!({"list": ["a", "b", "c"]}));
    assert_eq!(redacted, json!({"list": ["b", "c"]}));
}

#[test]
fn the_same_value_has_the_same_hash_and_another_key_another_one() {
    let builder = Redaction::builder().name("email", Treatment::Hmac);
    let redaction = builder.hmac_key(key()).build().unwrap();
    let redacted = body(
        &redaction,
        json!([{"email": "a@b"}, {"Email": "a@b"}, {"email": "c@d"}]),
    );
    assert_eq!(redacted[0]["email"], redacted[1]["Email"]);
    assert_ne!(redacted[0]["email"], redacted[2]["email"]);
    assert_eq!(redacted[0]["email"], key().hash("a@b"));
    assert_ne!(
        key().hash("a@b"),
        HmacKey::new("k2", [8; 32]).unwrap().hash("a@b")
    );
}

#[test]
fn the_hash_is_the_one_of_rfc_4231() {
    // Test case 1.
    let key = HmacKey::new("rfc", [0x0b; 20]).unwrap();
    assert_eq!(
        key.hash("Hi There"),
        "hmac-sha256:rfc:b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    );
}

#[test]
fn a_session_id_is_only_its_hash() {
    assert_eq!(
        hashed("abc"),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn a_query_is_an_object_without_secrets() {
    let builder = Redaction::builder().query("mail", Treatment::Mask);
    let builder = builder.query("trace", Treatment::Drop);
    let query = builder
        .build()
        .unwrap()
        .query("page=2&tag=a&tag=b&mail=x&trace=1&access_token=t&q=a%20b+c&flag");
    assert_eq!(
        Value::Object(query),
        json!({"page": "2", "tag": ["a", "b"], "mail": "[redacted]", "access_token": "[redacted]", "q": "a b c", "flag": ""})
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_secret_in_the_middle_of_text_is_masked() {
    let redaction = Redaction::default();
    for (text, redacted) in [
        (
            "https://x.org/?a=1&access_token=abc&b=2#z",
            "https://x.org/?a=1&access_token=[redacted]&b=2#z",
        ),
        ("Bearer abc.def, x", "Bearer [redacted], x"),
        ("bAsIc YTpi", "bAsIc [redacted]"),
        ("postgres://bob:pw@db/x", "postgres://[redacted]@db/x"),
        ("https://a@b@c/x", "https://[redacted]@c/x"),
        ("password=a=b c", "password=[redacted] c"),
        ("%70assword=a", "%70assword=[redacted]"),
        (
            "Passwort: geheim, password: hunter2",
            "Passwort: geheim, password: [redacted]",
        ),
        (
            "x {\"password\": \"correct \\\"horse\\\" battery\", \"a\": 1",
            "x {\"password\": \"[redacted]\", \"a\": 1",
        ),
        (
            "{\\\"token\\\":\\\"a b\\\",\\\"c\\\":1",
            "{\\\"token\\\":\\\"[redacted]\",\\\"c\\\":1",
        ),
        ("secret='a b' c", "secret='[redacted]' c"),
        (
            "x={\"password\": [\"a\"]}&y=1",
            "x={\"password\": [redacted]",
        ),
        ("password: Some(\"hunter2\") x", "password: [redacted]\") x"),
        (
            "{\"password\"=>\"hunter2\"}",
            "{\"password\"=>\"[redacted]\"}",
        ),
        ("password := hunter2", "password := [redacted]"),
        ("password == \"x y\"", "password == \"[redacted]\""),
        (
            "Authorization: Token s3cr3t x\nb",
            "Authorization:[redacted]\nb",
        ),
        ("Cookie: a=b; c=d", "Cookie:[redacted]"),
        ("Bearer   s3cr3t", "Bearer   [redacted]"),
        (
            "https://a/login?next=%2Fcb%3Faccess_token%3Ds3cr3t",
            "https://a/login?next=/cb?access_token=[redacted]",
        ),
        (
            "?token=a&next=%253Ftoken%253Ds3cr3t%2526",
            "?token=[redacted]&next=?token=[redacted]&",
        ),
        ("postgres://bob:p/w@db", "postgres://[redacted]@db"),
        (
            "https://x.org/@bob https://x.org:80/@bob",
            "https://x.org/@bob https://x.org:80/@bob",
        ),
        (
            "user[pin]=1234&card.pan=4111",
            "user[pin]=[redacted]&card.pan=[redacted]",
        ),
        (
            "status code: 503, error key: 5",
            "status code: 503, error key: 5",
        ),
        ("nothing to see: a=b", "nothing to see: a=b"),
        ("é=ü token=ü", "é=ü token=[redacted]"),
    ] {
        assert_eq!(redaction.header("referer", text).unwrap(), redacted);
    }
}

#[test]
fn json_in_text_is_redacted_as_json() {
    let redacted = body(
        &Redaction::default(),
        json!({"payload": r#" {"password": "a b", "x": 1}"#}),
    );
    assert_eq!(
        redacted,
        json!({"payload": r#"{"password":"[redacted]","x":1}"#})
    );
}

#[test]
fn a_pointer_is_one_into_the_body_and_not_into_a_text_in_it() {
    let builder = Redaction::builder().pointer("/id", Treatment::Drop);
    let redacted = body(
        &builder.build().unwrap(),
        json!({"id": 1, "p": "{\"id\": 5}"}),
    );
    assert_eq!(redacted, json!({"p": "{\"id\": 5}"}));
}

#[test]
fn a_secret_in_a_key_is_masked() {
    let redacted = body(&Redaction::default(), json!({"https://bob:pw@x": 1}));
    assert_eq!(redacted, json!({"https://[redacted]@x": 1}));
}

#[test]
fn text_without_secrets_stays_to_the_letter() {
    for text in [
        "{\"b\":  1e5, \"a\": 12345678901234567890123}",
        "100%25 sure",
        "[x] \"y\"",
        "é%",
    ] {
        assert_eq!(body(&Redaction::default(), json!([text])), json!([text]));
    }
}

#[test]
fn text_that_may_hide_a_name_in_escapes_is_masked_as_a_whole() {
    let redacted = body(
        &Redaction::default(),
        json!(["{\"pass\\u0077ord\": \"x\", "]),
    );
    assert_eq!(redacted, json!(["[redacted]"]));
}

#[test]
fn of_a_key_that_comes_twice_neither_value_is_left() {
    let redacted = body(
        &Redaction::default(),
        json!(["{\"password\":\"hunter2\",\"password\":null}"]),
    );
    assert!(!redacted.to_string().contains("hunter2"), "{redacted}");
}

#[test]
fn a_long_password_in_a_url_is_masked() {
    let url = format!("https://oauth2:{}@registry/x", "j".repeat(5_000));
    let redacted = Redaction::default().header("referer", &url).unwrap();
    assert_eq!(redacted, "https://[redacted]@registry/x");
}

#[test]
fn texts_inside_of_texts_are_no_work_and_hide_nothing() {
    let encoded = format!("%{}70assword=hunter2", "25".repeat(60));
    let nested = (0..25).fold(encoded, |text, _| {
        let text = text.replace('\\', "\\u005c").replace('"', "\\u0022");
        format!("\"{text}\"")
    });
    let redacted = body(&Redaction::default(), json!([nested]));
    assert!(!redacted.to_string().contains("hunter2"), "{redacted}");
}

#[test]
fn the_value_beside_the_name_of_a_secret_is_masked() {
    let redacted = body(
        &Redaction::default(),
        json!([
            {"op": "replace", "path": "/user/password", "value": "hunter2"},
            {"name": "X-Api-Key", "value": ["k"]},
            {"name": "plan", "value": "pro"},
            {"op": "replace", "path": "/hot/price/0", "value": 5},
        ]),
    );
    assert_eq!(
        redacted,
        json!([
            {"op": "replace", "path": "/user/password", "value": "[redacted]"},
            {"name": "X-Api-Key", "value": "[redacted]"},
            {"name": "plan", "value": "pro"},
            {"op": "replace", "path": "/hot/price/0", "value": 5},
        ])
    );
}

#[test]
fn a_name_in_parts_is_known_by_its_last_one() {
    let builder = Redaction::builder()
        .name("iban", Treatment::Drop)
        .query("email", Treatment::Mask);
    let query = builder
        .build()
        .unwrap()
        .query("card[pin]=1&user[iban]=2&user[email]=3&user[name]=4&a.ssn=5");
    assert_eq!(
        Value::Object(query),
        json!({"card[pin]": "[redacted]", "user[email]": "[redacted]", "user[name]": "4", "a.ssn": "[redacted]"})
    );
}

#[test]
fn the_hash_of_an_object_does_not_depend_on_the_order_of_its_keys() {
    let builder = Redaction::builder().name("card", Treatment::Hmac);
    let redacted = body(
        &builder.hmac_key(key()).build().unwrap(),
        json!({"card": {"b": [{"d": 1, "c": 2}], "a": 3}}),
    );
    assert_eq!(
        redacted["card"],
        key().hash(r#"{"a":3,"b":[{"c":2,"d":1}]}"#)
    );
}

#[test]
fn a_path_parameter_says_which_resource_it_is_unless_it_is_a_secret() {
    let redaction = Redaction::builder()
        .name("email", Treatment::Mask)
        .build()
        .unwrap();
    let is_secret = |name, is_target| redaction.is_secret(name, is_target);
    for name in [
        "token",
        "session_id",
        "sessionId",
        "reset_token",
        "secret",
        "email",
        "ssn",
        "sid",
        "pin",
    ] {
        assert!(is_secret(name, false), "{name}");
    }
    for name in ["id", "key", "code", "api_key_id", "secret_name", "tokenId"] {
        assert!(!is_secret(name, false), "{name}");
    }
    assert!(!is_secret("token", true));
    assert!(is_secret("email", true));
}

#[test]
fn a_header_that_is_asked_for_by_mistake_is_masked() {
    let redaction = Redaction::default();
    assert_eq!(redaction.header("cookie", "sid=1").unwrap(), "[redacted]");
    assert_eq!(
        redaction.header("accept", "text/html").unwrap(),
        "text/html"
    );
}

#[test]
fn what_is_allowed_is_left_and_said_last_counts() {
    let builder = Redaction::builder().dangerously_allow("token_count");
    let redacted = body(
        &builder.build().unwrap(),
        json!({"tokenCount": 5, "token": "x"}),
    );
    assert_eq!(redacted, json!({"tokenCount": 5, "token": "[redacted]"}));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let hmac = Redaction::builder().query("a", Treatment::Hmac).build();
    assert_eq!(hmac.unwrap_err(), RedactionError::NoKey);
    let pointer = Redaction::builder()
        .pointer("users", Treatment::Drop)
        .build();
    let error = pointer.unwrap_err().to_string();
    assert!(
        error.contains("\"users\"") && error.contains("slash"),
        "{error}"
    );
    let name = Redaction::builder().name("--", Treatment::Drop).build();
    assert_eq!(name.unwrap_err(), RedactionError::NoName("--".into()));
    assert_eq!(
        HmacKey::new("k", [0; 15]).unwrap_err(),
        HmacKeyError::TooShort
    );
    assert!(matches!(
        HmacKey::new("a:b", [0; 32]),
        Err(HmacKeyError::Id(_))
    ));
}

#[test]
fn a_key_does_not_show_itself() {
    assert_eq!(format!("{:?}", key()), "HmacKey { id: \"k1\", .. }");
}

#[test]
fn hostile_text_is_no_work() {
    for text in [
        "token=".repeat(10_000),
        "=:".repeat(30_000),
        "://".repeat(20_000),
        "bearer ".repeat(9_000),
        "bearer+".repeat(9_000),
        "a=1,".repeat(15_000),
    ] {
        assert!(Redaction::default().header("referer", &text).is_some());
    }
}

const SECRET: &str = "s3cr3t-Zq9";

/// Anything with the secret in it, under a name that says so.
fn with_secret() -> impl Strategy<Value = Value> {
    let name = proptest::sample::select(vec![
        "password",
        "api-key",
        "Access_Token",
        "user[secret]",
        "SESSION",
    ]);
    let held = prop_oneof![
        Just(json!(SECRET)),
        Just(json!([SECRET, {"x": SECRET}])),
        Just(json!({"deep": {"er": SECRET}})),
    ];
    let leaf = (name, held).prop_map(|(name, held)| json!({name: held, "other": 1}));
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Value::from),
            ("[a-z]{1,5}", inner.clone()).prop_map(|(name, value)| json!({name: value})),
            inner
                .clone()
                .prop_map(|value| json!({"text": value.to_string()})),
            inner.prop_map(|value| json!({"url": format!("https://x/?token={SECRET}&v={value}")})),
        ]
    })
}

proptest! {
    #[test]
    fn a_secret_under_its_name_is_never_left(value in with_secret()) {
        let text = body(&Redaction::default(), value).to_string();
        prop_assert!(!text.contains(SECRET), "{}", text);
    }

    #[test]
    fn whatever_stands_before_a_secret_it_is_found(text in "[a-z=:\"'\\\\ &?/@é{\\[\\]}]{0,40}|(token|bearer |=|:|\"|\\\\|://|@|é| ){0,12}") {
        for after in ["token=", "\"password\": \"", "Bearer "] {
            let text = format!("{text} {after}{SECRET}");
            let redacted = Redaction::default().header("referer", &text).unwrap();
            prop_assert!(!redacted.contains(SECRET), "{} {}", text, redacted);
        }
    }
}
