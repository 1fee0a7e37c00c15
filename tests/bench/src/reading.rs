//! How fast pages of a long trail are.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::bail;
use chrono::DateTime;
use sqlx::{
    AssertSqlSafe, PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tower_audit::{
    Cursor, EventId, EventReader, Filter, Indexes, PageSize, PgStore, Seek, SqliteStore,
    search::Field, store::Buckets,
};
use uuid::Uuid;
use xtask::{
    postgres::{Cluster, Commits},
    rows::{self, FIRST_SECOND, SECONDS_APART},
};

use crate::export;

/// Runs a command about reading.
pub(crate) fn command(arguments: &[&str]) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let connect = PgPool::connect;
        match *arguments {
            ["pages"] => run(10_000_000, 1_000_000, 200).await,
            ["pages", "--quick"] => run(500_000, 100_000, 40).await,
            ["sqlite", rows, repeats] => sqlite(rows.parse()?, repeats.parse()?).await,
            // Of a database that is there.
            ["rows", url, rows] => fill_postgres(&connect(url).await?, rows.parse()?).await,
            ["times", url, rows, repeats] => {
                let store = PgStore::new(connect(url).await?);
                let (rows, repeats): (u64, usize) = (rows.parse()?, repeats.parse()?);
                table("Postgres", &store, rows, repeats).await?;
                counts("Postgres", &store, rows, repeats.div_ceil(20)).await
            }
            ["export", url, rows] => {
                export::run(PgStore::new(connect(url).await?), rows.parse()?).await
            }
            ["plan", url, search] => {
                for plan in plans(&PgStore::new(connect(url).await?), search).await? {
                    println!("{plan}\n");
                }
                Ok(())
            }
            _ => bail!("usage: cargo xtask bench [--quick], cargo xtask pages [--quick]"),
        }
    })
}

/// Searches whose rows are counted.
const COUNTED: &[&str] = &[
    "",
    "-action:audit.*",
    "created:2021-06-01..2021-07-01",
    "actor:user-7",
    "tenant:tenant-7",
    "tenant:tenant-7 action:project.update -outcome:success",
    "outcome:denied",
    "action:project.update",
    "kind:api_key",
    "path:/nowhere",
];

/// Measures pages of both databases, with both sets of indexes, and prints tables.
async fn run(postgres_rows: u64, sqlite_rows: u64, repeats: usize) -> anyhow::Result<()> {
    let cluster = Cluster::start(Commits::AreFast)?;
    let pool = PgPoolOptions::new().connect(&cluster.url()).await?;
    let store = PgStore::new(pool.clone());
    fill_postgres(&pool, postgres_rows).await?;
    table("Postgres, Indexes::Lean", &store, postgres_rows, repeats).await?;
    counts(
        "Postgres, Indexes::Lean",
        &store,
        postgres_rows,
        repeats.div_ceil(20),
    )
    .await?;
    export::run(store, postgres_rows).await?;
    let full = PgStore::builder(pool.clone())
        .indexes(Indexes::Full)
        .build()?;
    tower_audit::migrate(&full).await?;
    sqlx::raw_sql("ANALYZE control_plane.audit_logs")
        .execute(&pool)
        .await?;
    table("Postgres, Indexes::Full", &full, postgres_rows, repeats).await?;
    sqlite(sqlite_rows, repeats).await
}

/// Measures pages of SQLite.
async fn sqlite(rows: u64, repeats: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("audit.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().connect_with(options).await?;
    fill_sqlite(&pool, rows).await?;
    let store = SqliteStore::new(pool);
    table("SQLite, Indexes::Lean", &store, rows, repeats).await?;
    let repeats = repeats.div_ceil(20);
    counts("SQLite, Indexes::Lean", &store, rows, repeats).await
}

/// Makes a trail in Postgres.
pub(crate) async fn fill_postgres(pool: &PgPool, rows: u64) -> anyhow::Result<()> {
    tower_audit::migrate(pool).await?;
    let started = Instant::now();
    for first in (0..rows).step_by(STEP) {
        let end = rows.min(first + STEP as u64);
        let fill = rows::postgres("control_plane.audit_logs", first, end);
        sqlx::raw_sql(AssertSqlSafe(fill)).execute(pool).await?;
        print!("\r{end} rows in {} s ", started.elapsed().as_secs());
        std::io::stdout().flush()?;
    }
    // As autovacuum does after a while.
    sqlx::raw_sql("VACUUM (ANALYZE) control_plane.audit_logs")
        .execute(pool)
        .await?;
    println!("and vacuumed after {} s", started.elapsed().as_secs());
    Ok(())
}

/// Makes a trail in SQLite.
pub(crate) async fn fill_sqlite(pool: &SqlitePool, rows: u64) -> anyhow::Result<()> {
    tower_audit::migrate(pool).await?;
    for first in (0..rows).step_by(STEP) {
        let fill = rows::sqlite("audit_logs", first, rows.min(first + STEP as u64));
        sqlx::raw_sql(AssertSqlSafe(fill)).execute(pool).await?;
    }
    Ok(())
}

const STEP: usize = 250_000;

/// Prints how long the first page of each search takes, and one from the middle of the trail on.
async fn table<R: EventReader>(
    name: &str,
    reader: &R,
    rows: u64,
    repeats: usize,
) -> anyhow::Result<()> {
    println!("\n{name}, {rows} rows, pages of 50, {repeats} times each in turns, in ms\n");
    println!("| search | first page: rows | median | p99 | deep page: rows | median | p99 |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let middle = FIRST_SECOND + rows / 2 * SECONDS_APART;
    let middle = DateTime::from_timestamp(i64::try_from(middle)?, 0).unwrap_or_default();
    let middle = Cursor::new(middle, EventId::from_uuid(Uuid::nil()));
    let mut pages: Vec<Timed> = Vec::new();
    for search in rows::SEARCHES {
        for seek in [Seek::Newest, Seek::OlderThan(middle)] {
            pages.push(Timed::new(search, seek)?);
        }
    }
    // What the machine does beside it, as it meets who asks for next to nothing.
    let mut nothing = Vec::with_capacity(repeats * pages.len());
    for _ in 0..repeats {
        for page in &mut pages {
            page.ask(reader).await?;
            let started = Instant::now();
            reader.get(EventId::from_uuid(Uuid::nil())).await?;
            nothing.push(started.elapsed());
        }
    }
    let (mut worst_median, mut worst_p99) = (Duration::ZERO, Duration::ZERO);
    for (search, pages) in rows::SEARCHES.iter().zip(pages.chunks_mut(2)) {
        print!("| `{search}` ");
        for page in pages {
            let (median, p99) = median_and_p99(&mut page.times);
            worst_median = worst_median.max(median);
            worst_p99 = worst_p99.max(p99);
            print!("| {} | {} | {} ", page.found, ms(median), ms(p99));
        }
        println!("|");
    }
    let (median, p99) = median_and_p99(&mut nothing);
    println!(
        "\nworst median {} ms, worst p99 {} ms; after each, an event that is not there: median {} ms, p99 {} ms",
        ms(worst_median),
        ms(worst_p99),
        ms(median),
        ms(p99)
    );
    Ok(())
}

/// A page, and how long it took each time.
struct Timed {
    filter: Filter,
    seek: Seek,
    times: Vec<Duration>,
    found: String,
}

impl Timed {
    fn new(search: &str, seek: Seek) -> anyhow::Result<Self> {
        Ok(Self {
            filter: search.parse()?,
            seek,
            times: Vec::new(),
            found: String::new(),
        })
    }

    async fn ask<R: EventReader>(&mut self, reader: &R) -> anyhow::Result<()> {
        let started = Instant::now();
        let page = reader
            .page(&self.filter, self.seek, PageSize::default())
            .await?;
        self.times.push(started.elapsed());
        self.found = page.events.len().to_string();
        if page.stopped_at.is_some() {
            self.found.push_str(", stopped");
        }
        Ok(())
    }
}

/// Prints how long it takes to count: over all of the time, and over the last seven days of the trail.
async fn counts<R: EventReader>(
    name: &str,
    reader: &R,
    rows: u64,
    repeats: usize,
) -> anyhow::Result<()> {
    println!("\n{name}, {rows} rows, counts, {repeats} times each, in ms\n");
    println!(
        "| search | a week by outcome: median | p99 | all by outcome: median | p99 | top actors: median | p99 |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let at = |seconds: u64| {
        DateTime::from_timestamp(i64::try_from(seconds).unwrap_or(0), 0).unwrap_or_default()
    };
    let end = FIRST_SECOND + rows * SECONDS_APART;
    let week = Buckets::covering(at(end - 7 * 86_400), at(end), 60)?;
    let all = Buckets::covering(at(FIRST_SECOND), at(end), 60)?;
    let ten = PageSize::new(10)?;
    for search in COUNTED {
        let filter: Filter = search.parse()?;
        let mut times = [(); 3].map(|()| Vec::with_capacity(repeats));
        for _ in 0..repeats {
            let started = Instant::now();
            reader.histogram(&filter, week).await?;
            times[0].push(started.elapsed());
            let started = Instant::now();
            reader.histogram(&filter, all).await?;
            times[1].push(started.elapsed());
            let started = Instant::now();
            reader.top(&filter, Field::Actor, ten).await?;
            times[2].push(started.elapsed());
        }
        print!("| `{search}` ");
        for times in &mut times {
            let (median, p99) = median_and_p99(times);
            print!("| {} | {} ", ms(median), ms(p99));
        }
        println!("|");
    }
    Ok(())
}

/// Returns the median and the 99th of a hundred of some times, and sorts them. There is at least one.
pub(crate) fn median_and_p99(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    // The nearest rank: of a hundred the ninety-ninth, not the last.
    let at = |n: usize| times[n.max(1) - 1];
    (
        at(times.len().div_ceil(2)),
        at((times.len() * 99).div_ceil(100)),
    )
}

/// Returns what a search asks of the database, for the first page and for one from the middle of the trail on.
async fn plans(store: &PgStore, search: &str) -> anyhow::Result<Vec<String>> {
    let filter: Filter = search.parse()?;
    let newest = store
        .page(&Filter::new(), Seek::Newest, PageSize::default())
        .await?;
    let newest = newest
        .events
        .first()
        .map_or(0, |event| event.created_at().timestamp());
    let first = i64::try_from(FIRST_SECOND)?;
    let middle = DateTime::from_timestamp(first + (newest - first) / 2, 0).unwrap_or_default();
    let middle = Cursor::new(middle, EventId::from_uuid(Uuid::nil()));
    let mut plans = store
        .explain_page(&filter, Seek::Newest, PageSize::default())
        .await?;
    plans.push("-- from the middle of the trail on".to_owned());
    plans.extend(
        store
            .explain_page(&filter, Seek::OlderThan(middle), PageSize::default())
            .await?,
    );
    Ok(plans)
}

/// Returns a time in milliseconds.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}
