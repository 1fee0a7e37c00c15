//! The table.

use serde_json::json;
use tower_audit_sqlx::{
    AnyStore, Drift, Indexes, MigrateError, PgStore, Roles, drift, migrate, migration_sql,
    migration_status, partitions::Layout,
};

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
    if args.verify {
        let store = connect::store_to_make(settings, making(&args, false)).await?;
        return verify(&store, output).await;
    }
    if args.print {
        let store = connect::store_to_make(settings, making(&args, false)).await?;
        return print(&store, &args, output).await;
    }
    let store = connect::store_to_make(settings, making(&args, true)).await?;
    migrate(&store)
        .await
        .map_err(|error| explained(error, settings))?;
    if let (AnyStore::Postgres(store), Some(_)) = (&store, args.layout)
        && store.partitions().await?.is_empty()
    {
        output.aside(
            "the table is there without partitions, and stays as it is: `tower-audit partitions convert` makes some",
        )?;
    }
    if args.roles {
        let (store, roles) = roles(&store, &args)?;
        store.create_roles(&roles).await?;
    }
    status(&store, output).await
}

/// Says what to do about a table of somebody else.
fn explained(error: MigrateError, settings: &Settings) -> anyhow::Error {
    let is_there = std::iter::successors(Some(&error as &dyn std::error::Error), |error| {
        error.source()
    })
    .any(|error| error.to_string().contains("already exists"));
    let error = anyhow::Error::from(error);
    if !is_there {
        return error;
    }
    let table = settings.table.as_deref().unwrap_or("audit_logs");
    error.context(format!(
        "something of the name {table} is there that these migrations did not make: give another --table or --schema, or move it out of \
         the way (the guide about moving says how)"
    ))
}

fn making(args: &Migrate, file: bool) -> Making {
    Making {
        layout: args
            .layout
            .map_or(Layout::Plain, |length| Layout::Partitioned(length.into())),
        indexes: if args.full_indexes {
            Indexes::Full
        } else {
            Indexes::Lean
        },
        file,
    }
}

fn roles<'a>(store: &'a AnyStore, args: &Migrate) -> anyhow::Result<(&'a PgStore, Roles)> {
    let AnyStore::Postgres(store) = store else {
        anyhow::bail!("roles are for Postgres: SQLite has none");
    };
    let roles = Roles::new().prefix(&args.role_prefix)?;
    Ok((store, roles.row_security(args.row_security)))
}

/// Prints the statements of what is missing.
async fn print(store: &AnyStore, args: &Migrate, output: &mut Output) -> anyhow::Result<Done> {
    let mut sql = migration_sql(store).await?;
    if args.roles {
        let (store, roles) = roles(store, args)?;
        sql.push_str("BEGIN;\n");
        sql.push_str(&store.roles_sql(&roles));
        sql.push_str("COMMIT;\n");
    }
    if sql.is_empty() {
        sql.push_str("-- Nothing is missing.\n");
    }
    output.text(&sql)?;
    Ok(Done::Well)
}

/// Says what is other than the migrations make it.
async fn verify(store: &AnyStore, output: &mut Output) -> anyhow::Result<Done> {
    let drift = drift(store).await?;
    for drift in &drift {
        if output.is_json {
            output.json(&json!({
                "object": drift.object,
                "expected": drift.expected,
                "found": drift.found,
                "addition": drift.is_addition(),
            }))?;
        } else {
            output.line(drift.to_string())?;
        }
    }
    if drift.iter().all(Drift::is_addition) {
        if !output.is_json {
            output.line(match drift.is_empty() {
                true => "everything is as the migrations make it",
                false => "everything else is as the migrations make it; `tower-audit doctor` says whether that matters",
            })?;
        }
        Ok(Done::Well)
    } else {
        Ok(Done::FoundSomething)
    }
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
