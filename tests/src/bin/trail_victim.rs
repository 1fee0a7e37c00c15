//! Asks a model that is none, without an end, and is killed: of each call of which everything is written it says the number.

use std::{io::Write as _, path::PathBuf, str::FromStr as _, time::Duration};

use anyhow::Context as _;
use sqlx::{
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tower_audit::{DeliverySettings, spool::Spool};
use tower_audit_ai::{Cost, Currency, PgTrails, SqliteTrails, Trail, TrailStore, Trails, Usage};

/// Takes the URL of a database, the folder of a spool, and the first number.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("no database")?;
    let folder = PathBuf::from(arguments.next().context("no folder")?);
    let first: u32 = arguments.next().context("no number")?.parse()?;
    match url.starts_with("sqlite") {
        true => {
            let options =
                SqliteConnectOptions::from_str(&url)?.journal_mode(SqliteJournalMode::Wal);
            let pool = SqlitePoolOptions::new().connect_lazy_with(options);
            ask(SqliteTrails::new(pool), folder, first).await
        }
        false => {
            let pool = PgPoolOptions::new()
                .max_connections(2)
                .acquire_timeout(Duration::from_millis(200))
                .connect_lazy_with(PgConnectOptions::from_str(&url)?);
            ask(PgTrails::new(pool), folder, first).await
        }
    }
}

async fn ask(store: impl TrailStore, folder: PathBuf, first: u32) -> anyhow::Result<()> {
    let settings = DeliverySettings::new()
        .retry(Duration::from_millis(10), Duration::from_millis(100))
        .write_timeout(Duration::from_secs(2));
    let trails = Trails::builder(store)
        .delivery(settings)
        .spool(Spool::open(folder)?)
        .start();
    let mut out = std::io::stdout();
    // A few at once, so that one of them is always on its way.
    for number in (first..).step_by(4) {
        let numbers = number..number + 4;
        for number in numbers.clone() {
            trails.begin(Trail::placeholder(&format!("m{number}"), "p", "m")?);
        }
        for number in numbers.clone() {
            let cost = Cost::new(Currency::USD, "0.000000001".parse()?, "0.1".parse()?)?;
            let id = format!("m{number}").parse()?;
            trails.complete(&id, Usage::new(number, 1), Some(cost), Vec::new());
        }
        trails.flush().await;
        for number in numbers {
            writeln!(out, "{number}")?;
        }
        out.flush()?;
    }
    Ok(())
}
