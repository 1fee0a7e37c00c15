//! Reads the beginning of a JSON text whose end is missing.

use serde_json::Value;

/// Returns the value as far as its members are whole, or `None` if this is not the beginning of an object or
/// an array.
pub(super) fn partial(bytes: &[u8]) -> Option<Value> {
    let mut closers = Vec::new();
    let (mut is_string, mut is_escaped) = (false, false);
    // Up to here every member is whole.
    let mut whole = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if is_string {
            is_string = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => is_string = true,
            b'{' | b'[' => {
                closers.push(if *byte == b'{' { b'}' } else { b']' });
                whole = at + 1;
            }
            b'}' | b']' => {
                (closers.pop() == Some(*byte)).then_some(())?;
                whole = at + 1;
            }
            b',' => whole = at,
            _ => {}
        }
    }
    let mut text = bytes[..whole].to_vec();
    text.extend(closers.iter().rev());
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_beginning_is_read_up_to_the_last_whole_member() {
        let check = |text: &str, value: Option<Value>| {
            assert_eq!(partial(text.as_bytes()), value, "{text}")
        };
        check(r#"{"a": 1, "b": "x"#, Some(json!({"a": 1})));
        check(
            r#"{"a": 1, "b": {"c": [1, 2, 3"#,
            Some(json!({"a": 1, "b": {"c": [1, 2]}})),
        );
        check(r#"{"a": {"b": 1}"#, Some(json!({"a": {"b": 1}})));
        check(r#"{"a\"}": "{", "b"#, Some(json!({"a\"}": "{"})));
        check(r#"[1, 2"#, Some(json!([1])));
        check(r#"{"a":"#, Some(json!({})));
        check(r#"[[[["#, Some(json!([[[[]]]])));
        check(r#""text"#, None);
        check("12", None);
        check("", None);
        check("{]", None);
        check("hello {", None);
    }

    #[test]
    fn a_secret_that_was_cut_is_not_there() {
        let text = r#"{"name": "bob", "password": "hunter2 and mo"#;
        assert_eq!(partial(text.as_bytes()), Some(json!({"name": "bob"})));
    }

    proptest! {
        #[test]
        fn whatever_it_is_nothing_panics(text in r#"[\[\]{}",:\\a1 é]{0,60}"#) {
            let _ = partial(text.as_bytes());
        }

        #[test]
        fn any_beginning_of_an_object_is_read(members in prop::collection::vec("[a-z\"\\\\{\\[,é]{0,6}", 1..6), cut in 0.0..1.0_f64) {
            let whole: serde_json::Map<String, Value> = members.iter().enumerate()
                .map(|(at, text)| (at.to_string(), json!([text, {"x": text}]))).collect();
            let text = Value::Object(whole.clone()).to_string();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of a length")]
            let end = ((text.len() as f64 * cut) as usize).max(1);
            let read = partial(&text.as_bytes()[..end]);
            let read = read.as_ref().and_then(Value::as_object).expect("it begins with a brace");
            prop_assert!(read.keys().all(|key| whole.contains_key(key)));
        }
    }
}
