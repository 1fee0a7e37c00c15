//! Conditions on JSON.

use serde_json::Value;
use tower_audit_core::search::{Match, Term};

use crate::query::{Arg, Sql};

/// Appends the condition that the JSON of a field is this.
pub(super) fn condition(sql: &mut Sql, term: &Term, wanted: &Match) {
    let column = term.field().column();
    match wanted {
        Match::Known if term.path().is_empty() => {
            sql.push(column).push(" IS NOT NULL");
        }
        Match::Known => {
            at(sql, term).push(" IS NOT NULL");
        }
        Match::Is(text) => contains_any(sql, column, &term.spellings(text)),
        Match::Prefix(prefix) => {
            sql.push("(jsonb_typeof(");
            at(sql, term).push(") = 'string' AND starts_with(");
            at(sql, term)
                .push(" #>> '{}', ")
                .bind(Arg::Text(prefix.clone()))
                .push("))");
        }
        Match::Contains(part) => contains_any(sql, column, &[Value::Object(part.clone())]),
        _ => {
            sql.push("1 = 0");
        }
    }
}

/// Appends what stands at the end of the path. A key is never the number of an item of a list.
fn at<'s>(sql: &'s mut Sql, term: &Term) -> &'s mut Sql {
    sql.push("(").push(term.field().column());
    for key in term.path() {
        sql.push(" -> ").bind(Arg::Text(key.clone()));
    }
    sql.push(")")
}

/// Appends that the column has all of one of these. The operator is that of the index.
fn contains_any(sql: &mut Sql, column: &str, parts: &[Value]) {
    for (n, part) in parts.iter().enumerate() {
        sql.push(if n == 0 { "(" } else { " OR " })
            .push(column)
            .push(" @> ");
        sql.bind(Arg::Text(part.to_string())).push("::jsonb");
    }
    sql.push(")");
}
