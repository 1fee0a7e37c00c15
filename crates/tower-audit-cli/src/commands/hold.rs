//! Holds.

use chrono::Utc;
use tower_audit_sqlx::retention::{Holds, RetentionError};

use super::{find::time, query::parsed};
use crate::{Done, args::Hold, connect, output::Output, settings::Settings};

/// Places, releases and lists holds.
pub(super) async fn run(
    settings: &Settings,
    action: Hold,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let holds = Holds::new(connect::store(settings).await?);
    match action {
        Hold::List => list(&holds, output).await,
        Hold::Place {
            name,
            search,
            reason,
        } => {
            holds
                .place(&name, parsed(&search, Utc::now())?, &reason)
                .await?;
            Ok(Done::Well)
        }
        Hold::Release { name } => match holds.release(&name).await {
            Err(RetentionError::NoHold(name)) => {
                output.line(format!("there is no hold {name:?}"))?;
                Ok(Done::NoSuchThing)
            }
            done => {
                done?;
                Ok(Done::Well)
            }
        },
    }
}

async fn list(holds: &Holds, output: &mut Output) -> anyhow::Result<Done> {
    let holds = holds.list().await?;
    if output.is_json {
        for hold in &holds {
            output.json(hold)?;
        }
        return Ok(Done::Well);
    }
    let rows = holds.iter().map(|hold| {
        [
            hold.name.clone(),
            hold.filter.to_string(),
            hold.reason.clone(),
            time(hold.placed_at),
            hold.placed_by.clone().unwrap_or_default(),
        ]
    });
    output.table(["hold", "keeps", "why", "since", "by"], rows)?;
    Ok(Done::Well)
}
