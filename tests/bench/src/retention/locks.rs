//! How long locks of the audit table are waited for and held.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::reading::ms;

/// A task that looks at the locks of the audit table again and again, on a connection of its own.
#[derive(Debug)]
pub(super) struct Watch {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<anyhow::Result<Locks>>,
}

impl Watch {
    /// Connects, and starts to look.
    pub(super) async fn start(pool: &PgPool) -> anyhow::Result<Self> {
        let connection = PgConnection::connect_with(&pool.connect_options()).await?;
        let is_over = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(watch(connection, Arc::clone(&is_over)));
        Ok(Self { is_over, task })
    }

    /// Stops it, and returns what it saw.
    pub(super) async fn stop(self) -> anyhow::Result<Locks> {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

async fn watch(mut connection: PgConnection, is_over: Arc<AtomicBool>) -> anyhow::Result<Locks> {
    let mut locks = Locks::default();
    let mut turns = interval(PERIOD);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !is_over.load(Ordering::Relaxed) {
        turns.tick().await;
        let there: Vec<Row> = sqlx::query_as(LOCKS)
            .fetch_all(&mut connection)
            .await
            .context("could not look at the locks")?;
        locks.look(there.into_iter().map(Lock::from).collect(), Instant::now());
    }
    // Whatever is there still ends for us.
    locks.look(HashSet::new(), Instant::now());
    connection.close().await?;
    Ok(locks)
}

/// What was seen of locks. A time is from the first look at which a lock was there to the first one at which it was not.
#[derive(Debug, Default)]
pub(super) struct Locks {
    /// Those of the last look, and since when they are there.
    there: HashMap<Lock, Instant>,
    /// The longest that somebody waited for.
    waited: Option<(Duration, Lock)>,
    /// The longest that one was held, by whether autovacuum had it and by mode.
    held: BTreeMap<(bool, String), Duration>,
    looks: u64,
    looked_at: Option<Instant>,
    longest_gap: Duration,
}

impl Locks {
    /// Returns the longest wait of any session, in milliseconds.
    pub(super) fn longest_wait(&self) -> String {
        let waited = self.waited.as_ref();
        waited.map_or_else(|| NONE.to_owned(), |(time, _)| ms(*time))
    }

    /// Returns, for each mode that excludes others, the longest that one was held, in milliseconds. Those of autovacuum are
    /// apart, in [`note`](Self::note): whatever else is done, it comes by itself.
    pub(super) fn longest_held(&self) -> String {
        let held = self.held_by(false);
        if held.is_empty() {
            NONE.to_owned()
        } else {
            held
        }
    }

    /// Returns how it was looked, and what does not fit into the table.
    pub(super) fn note(&self) -> String {
        let gap = ms(self.longest_gap);
        let mut note = format!(
            "locks were looked at {} times, at most {gap} ms apart",
            self.looks
        );
        if let Some((_, lock)) = &self.waited {
            note += &format!(
                "; the longest wait was for {} ({}) of {}",
                lock.mode, lock.kind, lock.table
            );
        }
        let autovacuum = self.held_by(true);
        if !autovacuum.is_empty() {
            note += &format!("; autovacuum held {autovacuum} ms");
        }
        note
    }

    fn held_by(&self, is_autovacuum: bool) -> String {
        let held = self.held.iter();
        let held = held.filter(|((by_autovacuum, _), _)| *by_autovacuum == is_autovacuum);
        let held = held.map(|((_, mode), time)| format!("{mode} {}", ms(*time)));
        held.collect::<Vec<_>>().join(", ")
    }

    /// Takes in what is there at a moment.
    fn look(&mut self, there: HashSet<Lock>, at: Instant) {
        self.looks += 1;
        if let Some(last) = self.looked_at.replace(at) {
            self.longest_gap = self.longest_gap.max(at - last);
        }
        let mut before = mem::take(&mut self.there);
        for lock in there {
            let since = before.remove(&lock).unwrap_or(at);
            self.there.insert(lock, since);
        }
        for (lock, since) in before {
            self.ended(lock, at - since);
        }
    }

    /// Takes in a lock that was there for so long.
    fn ended(&mut self, lock: Lock, time: Duration) {
        if lock.is_granted {
            let longest = self.held.entry((lock.is_autovacuum, lock.mode));
            let longest = longest.or_default();
            *longest = time.max(*longest);
        } else if self.waited.as_ref().is_none_or(|(most, _)| *most < time) {
            self.waited = Some((time, lock));
        }
    }
}

/// A lock of the audit table or of one of its partitions, as a session has it or waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lock {
    session: i32,
    is_autovacuum: bool,
    kind: String,
    mode: String,
    relation: i64,
    table: String,
    is_granted: bool,
}

impl From<Row> for Lock {
    fn from(row: Row) -> Self {
        let (session, is_autovacuum, kind, mode, relation, table, is_granted) = row;
        Self {
            session,
            is_autovacuum,
            kind,
            mode,
            relation,
            table,
            is_granted,
        }
    }
}

/// As [`LOCKS`] selects it.
type Row = (i32, bool, String, String, i64, String, bool);

/// What is waited for, and what is held and excludes more than the locks of readers and writers do. The locks of rows and of
/// the end of the file are short and of their own modes, so of those only the waits are of interest. The tables of the lease
/// and of the holds are not those of the rows.
const LOCKS: &str = "SELECT coalesce(l.pid, 0), coalesce(a.backend_type = 'autovacuum worker', false), l.locktype, \
         replace(l.mode, 'Lock', ''), l.relation::int8, c.relname::text, l.granted \
     FROM pg_catalog.pg_locks AS l \
     JOIN pg_catalog.pg_class AS c ON c.oid = l.relation \
     LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid \
     WHERE l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
         AND c.relnamespace = 'control_plane'::regnamespace AND c.relkind IN ('r', 'p') \
         AND c.relname ~ '^audit_logs' AND c.relname NOT IN ('audit_logs_retention', 'audit_logs_holds') \
         AND (NOT l.granted OR (l.locktype = 'relation' \
             AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')))";

/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(5);

/// What is shorter than the time between two looks may go unseen.
const NONE: &str = "none seen";
