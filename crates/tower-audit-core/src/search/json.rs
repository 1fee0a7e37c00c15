//! What it means that JSON holds JSON: the containment of PostgreSQL's `@>`.

use serde_json::{Map, Value};

/// Returns whether `whole` has all that `part` has: of an object its members, of an array its items,
/// wherever they stand.
pub(super) fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => has_members(whole, part),
        (Value::Array(whole), Value::Array(part)) => part
            .iter()
            .all(|part| whole.iter().any(|whole| contains(whole, part))),
        (Value::Number(whole), Value::Number(part)) => {
            whole == part
                // A whole number may be written as a fraction.
                || (whole.is_f64() != part.is_f64() && whole.as_f64() == part.as_f64())
        }
        _ => whole == part,
    }
}

/// Returns whether the object has all of these members.
pub(super) fn has_members(whole: &Map<String, Value>, part: &Map<String, Value>) -> bool {
    part.iter()
        .all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
}

/// Returns the values that a text may stand for: the string, and what else it spells.
pub(super) fn spellings(text: &str) -> impl Iterator<Item = Value> + use<> {
    let other = serde_json::from_str(text)
        .ok()
        .filter(|value: &Value| !value.is_string() && !value.is_array() && !value.is_object());
    [Some(Value::from(text)), other].into_iter().flatten()
}

/// Returns the value at the end of these keys.
pub(super) fn nest(path: &[String], value: Value) -> Value {
    path.iter().rev().fold(value, |value, key| {
        Value::Object(Map::from_iter([(key.clone(), value)]))
    })
}

/// Returns what stands at the end of these keys.
pub(super) fn at<'a>(object: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(object.get(first)?, |value, key| value.as_object()?.get(key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_holds_less_of_itself() {
        let whole = json!({"a": {"b": 1, "c": [1, "x", {"y": null}]}, "d": 2.0});
        for part in [
            json!({}),
            json!({"d": 2}),
            json!({"a": {"c": ["x"]}}),
            json!({"a": {"c": [{"y": null}, 1]}}),
        ] {
            assert!(contains(&whole, &part), "{part}");
        }
        for part in [
            json!({"a": 1}),
            json!({"d": "2"}),
            json!({"a": {"c": "x"}}),
            json!({"e": null}),
            json!([]),
        ] {
            assert!(!contains(&whole, &part), "{part}");
        }
    }
}
