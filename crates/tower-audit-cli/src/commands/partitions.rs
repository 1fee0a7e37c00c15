//! Partitions.

use chrono::{DateTime, Utc};
use serde_json::json;
use tower_audit_sqlx::{PgStore, partitions::Conversion};

use super::find::time;
use crate::{
    Done, args::Partitions, connect, output::Output, progress::Progress, settings::Settings,
};

/// Lists, makes and converts to partitions.
pub(super) async fn run(
    settings: &Settings,
    action: Option<Partitions>,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let store = connect::postgres_only(settings, "partitions").await?;
    match action.unwrap_or(Partitions::List) {
        Partitions::List => {}
        Partitions::Create => {
            store.create_partitions().await?;
        }
        Partitions::Convert { to } => {
            if !store.partitions().await?.is_empty() {
                output.aside("the table has partitions already, and stays as it is")?;
                return list(&store, output).await;
            }
            let _progress = Progress::of_time("converting");
            store.convert(Conversion::to(to.into())).await?;
        }
    }
    list(&store, output).await
}

async fn list(store: &PgStore, output: &mut Output) -> anyhow::Result<Done> {
    let there = store.partitions().await?;
    if output.is_json {
        for partition in &there {
            output.json(&json!({
                "name": partition.name,
                "from": partition.from,
                "until": partition.until,
                "rows": partition.rows,
                "bytes": partition.bytes,
                "is_guarded": partition.is_guarded,
            }))?;
        }
        return Ok(Done::Well);
    }
    if there.is_empty() {
        output.line(
            "the table has no partitions: `tower-audit partitions convert --to monthly` makes some",
        )?;
        return Ok(Done::Well);
    }
    let end = |moment: Option<DateTime<Utc>>| moment.map_or_else(|| "open".to_owned(), time);
    let rows = there.iter().map(|partition| {
        [
            partition.name.clone(),
            end(partition.from),
            end(partition.until),
            partition.rows.to_string(),
            format!("{:.1} MB", bytes(partition.bytes)),
        ]
    });
    output.table(["partition", "from", "until", "rows, about", "size"], rows)?;
    Ok(Done::Well)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "it is rounded to a tenth of a megabyte"
)]
pub(super) fn bytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
