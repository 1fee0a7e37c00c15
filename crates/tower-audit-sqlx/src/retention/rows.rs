//! What is due of some rows: counted, or deleted.

use tower_audit_core::StoreError;

use super::{Database, Due};
use crate::query::{Range, Sql};

/// Deletes what is due of these rows; returns how many went, by the number of the rule.
pub(super) async fn delete<D: Database>(
    database: &D,
    tx: &mut D::Tx,
    due: Due<'_>,
    range: Range,
) -> Result<Vec<(usize, u64)>, StoreError> {
    let (table, _) = database.table_and("");
    let mut sql = Sql::new(format!("DELETE FROM {table} AS t WHERE 1 = 1"));
    range.push(&mut sql);
    sql.push(" AND ");
    due.push::<D::Dialect>(&mut sql);
    sql.push(" RETURNING ");
    // What is returned has no alias.
    sql.is_unqualified = true;
    due.push_rule::<D::Dialect>(&mut sql);
    let mut counted = vec![0; due.policy.rules().len() + 1];
    for row in database.numbers(tx, sql).await? {
        if let Some(rule) = number(&row, 0).and_then(|rule| counted.get_mut(rule)) {
            *rule += 1;
        }
    }
    Ok(counted.into_iter().enumerate().collect())
}

/// Counts what is due of these rows, by the number of the rule.
pub(super) async fn count<D: Database>(
    database: &D,
    tx: &mut D::Tx,
    due: Due<'_>,
    range: Range,
) -> Result<Vec<(usize, u64)>, StoreError> {
    let (table, _) = database.table_and("");
    let mut sql = Sql::new("SELECT ");
    due.push_rule::<D::Dialect>(&mut sql);
    sql.push(&format!(", count(*) FROM {table} AS t WHERE 1 = 1"));
    range.push(&mut sql);
    sql.push(" AND ");
    due.push::<D::Dialect>(&mut sql);
    sql.push(" GROUP BY 1");
    let rows = database.numbers(tx, sql).await?;
    let rows = rows.iter().filter_map(|row| {
        let (rule, rows) = (number(row, 0)?, number(row, 1)?);
        Some((rule, u64::try_from(rows).ok()?))
    });
    Ok(rows.collect())
}

/// Counts what would be due of these rows if nobody held it.
pub(super) async fn count_held<D: Database>(
    database: &D,
    tx: &mut D::Tx,
    due: Due<'_>,
    range: Range,
) -> Result<u64, StoreError> {
    let (table, _) = database.table_and("");
    let mut sql = Sql::new(format!("SELECT count(*) FROM {table} AS t WHERE 1 = 1"));
    range.push(&mut sql);
    sql.push(" AND ");
    due.push_held::<D::Dialect>(&mut sql);
    let rows = database.numbers(tx, sql).await?;
    let rows = rows.first().and_then(|row| number(row, 0)).unwrap_or(0);
    Ok(u64::try_from(rows).unwrap_or(0))
}

fn number(row: &[Option<i64>], column: usize) -> Option<usize> {
    row.get(column)
        .copied()
        .flatten()
        .and_then(|number| usize::try_from(number).ok())
}
