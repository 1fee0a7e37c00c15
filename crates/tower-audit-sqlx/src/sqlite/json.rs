//! Conditions on JSON, which is text in SQLite.

use serde_json::{Map, Value};
use tower_audit_core::search::{Field, Match, Term};

use crate::query::{Arg, Sql};

/// Appends the condition that the JSON of a field is this.
pub(super) fn condition(sql: &mut Sql, term: &Term, wanted: &Match) {
    let json = Json {
        // A table that somebody else writes to may have text here that is no JSON, and must not hide the other rows.
        column: match term.field() {
            Field::Captured => "iif(json_valid(captured), captured, NULL)",
            _ => "metadata",
        },
        path: term.path().to_vec(),
    };
    match wanted {
        Match::Known if term.path().is_empty() => {
            sql.push(json.column).push(" IS NOT NULL");
        }
        Match::Known => {
            json.kind(sql).push(" IS NOT NULL");
        }
        Match::Is(text) => json.is_or_has(sql, text),
        Match::Prefix(prefix) => {
            sql.push("(");
            json.kind(sql).push(" = 'text' AND substr(");
            json.value(sql)
                .push(", 1, length(")
                .bind(Arg::Text(prefix.clone()));
            sql.push(")) = ").bind(Arg::Text(prefix.clone())).push(")");
        }
        Match::Contains(part) => json.contains(sql, part),
        _ => {
            sql.push("1 = 0");
        }
    }
}

/// A place in JSON.
struct Json {
    column: &'static str,
    path: Vec<String>,
}

impl Json {
    fn at(&self, key: &str) -> Self {
        let mut path = self.path.clone();
        path.push(key.to_owned());
        Self { path, ..*self }
    }

    /// Appends what kind of value is here.
    fn kind<'s>(&self, sql: &'s mut Sql) -> &'s mut Sql {
        self.call(sql, "json_type(")
    }

    /// Appends the value here.
    fn value<'s>(&self, sql: &'s mut Sql) -> &'s mut Sql {
        self.call(sql, "json_extract(")
    }

    fn call<'s>(&self, sql: &'s mut Sql, function: &str) -> &'s mut Sql {
        // The keys have no quotes and no backslashes.
        let path: String = self.path.iter().map(|key| format!(".\"{key}\"")).collect();
        sql.push(function).push(self.column).push(", ");
        sql.bind(Arg::Text(format!("${path}"))).push(")")
    }

    /// Appends that what the text spells is here, or in the list here.
    fn is_or_has(&self, sql: &mut Sql, text: &str) {
        let spelled = serde_json::from_str::<Value>(text).ok();
        let other =
            spelled.filter(|value| !value.is_string() && !value.is_array() && !value.is_object());
        sql.push("(");
        self.kind(sql)
            .push(" <> 'object' AND EXISTS (SELECT 1 FROM ");
        self.call(sql, "json_each(").push(" AS item WHERE ");
        is_item(sql, &Value::from(text));
        if let Some(other) = other {
            sql.push(" OR ");
            is_item(sql, &other);
        }
        sql.push("))");
    }

    /// Appends that the object here has all of this.
    fn contains(&self, sql: &mut Sql, part: &Map<String, Value>) {
        sql.push("(");
        self.kind(sql).push(" = 'object'");
        for (key, value) in part {
            sql.push(" AND ");
            self.at(key).holds(sql, value);
        }
        sql.push(")");
    }

    /// Appends that the value here holds this one.
    fn holds(&self, sql: &mut Sql, value: &Value) {
        match value {
            Value::Object(part) => self.contains(sql, part),
            Value::Array(items) => {
                sql.push("(");
                self.kind(sql).push(" = 'array'");
                for item in items {
                    sql.push(" AND EXISTS (SELECT 1 FROM ");
                    self.call(sql, "json_each(").push(" AS item WHERE ");
                    is_item(sql, item);
                    sql.push(")");
                }
                sql.push(")");
            }
            scalar => {
                sql.push("(");
                self.kind(sql)
                    .push(" NOT IN ('object', 'array') AND EXISTS (SELECT 1 FROM ");
                self.call(sql, "json_each(").push(" AS item WHERE ");
                is_item(sql, scalar);
                sql.push("))");
            }
        }
    }
}

/// Appends that the item is this, which is no list and no object.
fn is_item(sql: &mut Sql, value: &Value) {
    match value {
        Value::String(text) => {
            sql.push("(item.type = 'text' AND item.atom = ")
                .bind(Arg::Text(text.clone()))
                .push(")");
        }
        Value::Number(number) => {
            let number = number.as_i64().map_or_else(
                || Arg::Real(number.as_f64().unwrap_or(f64::NAN)),
                Arg::Number,
            );
            sql.push("(item.type IN ('integer', 'real') AND item.atom = ")
                .bind(number)
                .push(")");
        }
        Value::Bool(true) => {
            sql.push("item.type = 'true'");
        }
        Value::Bool(false) => {
            sql.push("item.type = 'false'");
        }
        // A search for a list of lists is refused where it is written.
        _ => {
            sql.push("item.type = 'null'");
        }
    }
}
