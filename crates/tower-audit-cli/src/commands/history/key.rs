//! The key of a row, as people write it.

use serde_json::Value;
use tower_audit_core::changes::Columns;

/// Parses `id=7`, `tenant=acme,id=7` and `{"id": 7}`.
pub(super) fn key(text: &str) -> Result<Columns, String> {
    let key = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).ok()
    } else {
        pairs(text)
    };
    key.filter(|key: &Columns| !key.is_empty())
        .ok_or_else(|| FORM.to_owned())
}

fn pairs(text: &str) -> Option<Columns> {
    let pairs = text.split(',').map(|pair| {
        let (column, found) = pair.split_once('=')?;
        let column = column.trim();
        (!column.is_empty()).then(|| (column.to_owned(), value(found)))
    });
    pairs.collect()
}

/// Returns the number that this is, or else the text.
fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Number(number)) => Value::Number(number),
        _ => Value::String(text.to_owned()),
    }
}

const FORM: &str = "the key of a row is column=value, with commas between several; or a JSON object of the columns, as '{\"id\": \"7\"}', \
     where a number is text or a value has a comma";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_pairs_or_an_object() {
        for (text, expected) in [
            ("id=7", json!({"id": 7})),
            ("tenant=acme,id=-1.5", json!({"tenant": "acme", "id": -1.5})),
            ("code=007,other=", json!({"code": "007", "other": ""})),
            ("a=b=c", json!({"a": "b=c"})),
            (r#" {"id": "7"}"#, json!({"id": "7"})),
        ] {
            assert_eq!(key(text).map(Value::Object), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_to_write() {
        for text in ["", "7", "=7", "id=7,", "{}", "{id: 7}", "[7]"] {
            assert_eq!(key(text), Err(FORM.to_owned()), "{text}");
        }
    }
}
