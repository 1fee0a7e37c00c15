//! What calls of models took and cost.

mod calls;
mod cost;

use chrono::Utc;
use chrono_tz::Tz;
use clap::Subcommand;
use serde_json::json;
use tower_audit_ai::{PgTrails, SqliteTrails, TrailStore};
use tower_audit_core::retention::Keep;

use crate::{
    Done,
    connect::{self, Pool},
    output::Output,
    settings::Settings,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Ai {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the tables of the trails, or bring them up to date
    Migrate {
        /// Whose days are counted, if the tables are made: Europe/Berlin [default: UTC]
        #[arg(long, value_name = "ZONE")]
        zone: Option<Tz>,
    },
    /// Say what calls took and cost, by project, or of one project by day and by model
    Cost(cost::Cost),
    /// Show the calls of a project, the newest first
    List(calls::List),
    /// Show one call; exits with 4 if there is none
    Show {
        /// The message that it answers
        message_id: String,
    },
    /// Delete the trails that are old; what they add up to stays
    Cleanup {
        /// How long trails are kept: 7d, 12w
        #[arg(long, value_name = "DURATION", default_value = "7d")]
        keep: Keep,
    },
    /// Count the trails of each day again of which all are there: for tables that somebody has changed by hand
    Recount,
}

/// Does it, with the trails of the database.
pub(super) async fn run(
    settings: &Settings,
    args: Ai,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let may_make = matches!(args.action, Action::Migrate { .. });
    let pool = connect::any_pool(settings, may_make).await?;
    let elsewhere = settings.schema.as_deref();
    let is_elsewhere = elsewhere.is_some_and(|schema| schema != "control_plane");
    if is_elsewhere && matches!(pool, Pool::Postgres(_)) {
        output.aside(
            "the trails of calls are in the schema control_plane: another one is for the events",
        )?;
    }
    if let Action::Migrate { zone } = args.action {
        return migrate(pool, zone, output).await;
    }
    match pool {
        Pool::Postgres(pool) => of(&PgTrails::new(pool), args.action, output).await,
        Pool::Sqlite(pool) => of(&SqliteTrails::new(pool), args.action, output).await,
    }
}

/// Makes the tables, and says whose days they count.
async fn migrate(pool: Pool, zone: Option<Tz>, output: &mut Output) -> anyhow::Result<Done> {
    let wanted = zone.unwrap_or(Tz::UTC);
    let counted = match pool {
        Pool::Postgres(pool) => PgTrails::new(pool).zone(wanted).migrate().await?,
        Pool::Sqlite(pool) => SqliteTrails::new(pool).zone(wanted).migrate().await?,
    };
    if zone.is_some_and(|zone| zone != counted) {
        output.aside(format!(
            "the days stay those of {counted}: what they add up to was counted like that"
        ))?;
    }
    match output.is_json {
        true => output.json(&json!({ "zone": counted.name() }))?,
        false => output.line(format!(
            "the tables of the trails are up to date, and days are those of {counted}"
        ))?,
    }
    Ok(Done::Well)
}

async fn of(trails: &impl TrailStore, action: Action, output: &mut Output) -> anyhow::Result<Done> {
    match action {
        Action::Migrate { .. } => Ok(Done::Well),
        Action::Cost(args) => cost::run(trails, &args, output).await,
        Action::List(args) => calls::list(trails, &args, output).await,
        Action::Show { message_id } => calls::show(trails, &message_id, output).await,
        Action::Cleanup { keep } => {
            let deleted = match keep.cutoff(Utc::now()) {
                Some(cutoff) => trails.cleanup(cutoff).await?,
                None => 0,
            };
            match output.is_json {
                true => output.json(&json!({ "deleted": deleted }))?,
                false => {
                    output.line(format!("{deleted} trails went; what they add up to stays"))?
                }
            }
            Ok(Done::Well)
        }
        Action::Recount => {
            let days = trails.recount().await?;
            match output.is_json {
                true => output.json(&json!({ "days": days }))?,
                false => output.line(format!("days that were counted again: {days}"))?,
            }
            Ok(Done::Well)
        }
    }
}
