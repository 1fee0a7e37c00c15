//! What became visible since a snapshot.

use sqlx::{Row as _, postgres::PgRow};
use tower_audit_core::{AuditEvent, StoreError, store::TailPosition};

use super::{reading::Reading, source::SELECTED};
use crate::{
    columns,
    query::{Arg, Source as _, Sql},
};

/// See [`Source::unseen`](crate::query::Source::unseen).
///
/// One statement returns the snapshot and the rows, so that they are of one moment.
pub(super) async fn unseen(
    reading: &Reading<'_>,
    position: Option<&TailPosition>,
    most: i64,
) -> Result<(TailPosition, Vec<(AuditEvent, u64)>), StoreError> {
    let mut sql = Sql::new(
        "SELECT pg_current_snapshot()::text AS snapshot, pg_is_in_recovery() AS is_standby, rows.* FROM (SELECT 1) AS one LEFT JOIN LATERAL (SELECT ",
    );
    sql.push(SELECTED)
        .push(", write_order::text::int8 AS write_order FROM ")
        .push(reading.table());
    sql.push(" AS t WHERE ");
    match position {
        None => {
            sql.push("false");
        }
        Some(position) => not_seen(&mut sql, position),
    }
    // The columns of the table: those of the same names that are selected are of other types.
    sql.push(" ORDER BY t.write_order, t.id LIMIT ")
        .bind(Arg::Number(most))
        .push(") AS rows ON true");
    let rows = reading.rows(sql).await?;
    if rows
        .first()
        .is_some_and(|row| row.try_get("is_standby").unwrap_or(false))
    {
        return Err(StoreError::NotReady {
            hint: STANDBY_HINT,
            source: "a standby does not know which transactions are open".into(),
        });
    }
    let now = match rows.first() {
        Some(row) => snapshot(&text(row, "snapshot")?)?,
        None => return Err(unreadable("there is no snapshot")),
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let number: Option<i64> = row.try_get("write_order").map_err(store_error)?;
        if let Some(number) = number.and_then(|number| u64::try_from(number).ok()) {
            found.push((columns::event(row)?, number));
        }
    }
    Ok((now, found))
}

/// Appends the condition that a row was not seen.
fn not_seen(sql: &mut Sql, position: &TailPosition) {
    let number = |number: u64| Arg::Text(number.to_string());
    // Rows that were restored from another cluster have numbers that this one will give out later.
    sql.push("t.write_order < pg_snapshot_xmax(pg_current_snapshot()) AND ");
    if let Some((within, last)) = position.within() {
        sql.push("t.write_order = ")
            .bind(number(within))
            .push("::xid8 AND t.id > ");
        sql.bind(Arg::Id(last.as_uuid()));
        return;
    }
    sql.push("(t.write_order >= ")
        .bind(number(position.next()))
        .push("::xid8");
    let open: Vec<String> = position.open().map(|open| open.to_string()).collect();
    if !open.is_empty() {
        sql.push(" OR t.write_order = ANY (")
            .bind(Arg::Texts(open))
            .push("::xid8[])");
    }
    sql.push(")");
}

/// Reads a snapshot, `xmin:xmax:xip,...`: everything before `xmax` is over but for those in the list.
fn snapshot(text: &str) -> Result<TailPosition, StoreError> {
    let parse = || {
        let mut parts = text.split(':').skip(1);
        let next = parts.next()?.parse().ok()?;
        let open = parts.next()?.split(',').filter(|open| !open.is_empty());
        let open = open.map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        Some(TailPosition::new(next, open))
    };
    parse().ok_or_else(|| unreadable("the snapshot has another form"))
}

fn text(row: &PgRow, column: &str) -> Result<String, StoreError> {
    row.try_get(column).map_err(store_error)
}

fn store_error(error: sqlx::Error) -> StoreError {
    super::error::store_error(error)
}

const STANDBY_HINT: &str = "a live tail needs the primary: connect the reader to that one";

fn unreadable(what: &'static str) -> StoreError {
    StoreError::Unreadable(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_says_what_is_over_and_what_is_open() {
        assert_eq!(
            snapshot("10:20:10,14").unwrap(),
            TailPosition::new(20, [10, 14])
        );
        assert_eq!(snapshot("20:20:").unwrap(), TailPosition::new(20, []));
        assert!(snapshot("20").is_err() && snapshot("a:b:c").is_err());
    }
}
