//! The table.

use serde_json::json;
use tower_audit_sqlx::{AnyStore, Indexes, Roles, migrate, migration_status, partitions::Layout};

use super::find::time;
use crate::{
    Done,
    args::Migrate,
    connect::{self, Making},
    output::Output,
    settings::Settings,
};

/// Makes the table, or says how it is.
pub(super) async fn run(
    settings: &Settings,
    args: Migrate,
    output: &mut Output,
) -> anyhow::Result<Done> {
    if args.status {
        return status(&connect::store(settings).await?, output).await;
    }
    let making = Making {
        layout: args
            .layout
            .map_or(Layout::Plain, |length| Layout::Partitioned(length.into())),
        indexes: if args.full_indexes {
            Indexes::Full
        } else {
            Indexes::Lean
        },
        file: true,
    };
    let store = connect::store_to_make(settings, making).await?;
    migrate(&store).await?;
    if args.roles {
        let AnyStore::Postgres(store) = &store else {
            anyhow::bail!("roles are for Postgres: SQLite has none");
        };
        let roles = Roles::new().prefix(&args.role_prefix)?;
        store
            .create_roles(&roles.row_security(args.row_security))
            .await?;
    }
    status(&store, output).await
}

async fn status(store: &AnyStore, output: &mut Output) -> anyhow::Result<Done> {
    let there = migration_status(store).await?;
    if output.is_json {
        for migration in &there {
            output.json(&json!({
                "version": migration.version,
                "description": migration.description,
                "applied_at": migration.applied_at,
            }))?;
        }
    } else {
        let rows = there.iter().map(|migration| {
            let applied = migration
                .applied_at
                .map_or_else(|| "missing".to_owned(), time);
            [
                migration.version.to_string(),
                migration.description.clone(),
                applied,
            ]
        });
        output.table(["migration", "what", "run"], rows)?;
    }
    if there.iter().all(|migration| migration.applied_at.is_some()) {
        Ok(Done::Well)
    } else {
        Ok(Done::FoundSomething)
    }
}
