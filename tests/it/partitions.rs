//! Partitions: laid out, made of a plain table under load, and made for rows that find none.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Months, TimeDelta, Utc};
use sqlx::AssertSqlSafe;
use tower_audit::{
    Actor, AuditEvent, EventId, EventReader, EventWriter, Filter, Outcome, PgStore, Seek,
    StoreError, Target, migrate,
    partitions::{Conversion, Layout, PartitionError, Period},
};

use crate::support::{
    LIMIT,
    database::Postgres,
    events::{builder, event},
    soon,
};

fn laid_out(database: &Postgres, layout: Layout) -> PgStore {
    let store = PgStore::builder(database.pool.clone()).layout(layout);
    store.build().unwrap()
}

async fn partitioned(period: Period) -> (Postgres, PgStore) {
    let database = Postgres::fresh().await;
    let store = laid_out(&database, Layout::Partitioned(period));
    migrate(&store).await.unwrap();
    (database, store)
}

async fn run(database: &Postgres, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(&database.pool)
        .await
        .unwrap();
}

async fn refused(database: &Postgres, sql: &str) -> String {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&database.pool)
        .await
        .unwrap_err()
        .to_string()
}

async fn number(database: &Postgres, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(&database.pool)
        .await
        .unwrap()
}

async fn rows(database: &Postgres) -> i64 {
    number(database, "SELECT count(*) FROM control_plane.audit_logs").await
}

fn at_time(time: DateTime<Utc>) -> AuditEvent {
    let target = Target::new("project", 7);
    let event = AuditEvent::builder(Actor::user("alice"), "project.update", target);
    event.created_at(time).build()
}

/// Says what lies between the partitions: nothing, if each begins where the one before it ends.
async fn has_no_gap(store: &PgStore) -> bool {
    let there = store.partitions().await.unwrap();
    there.windows(2).all(|pair| pair[0].until == pair[1].from)
}

#[tokio::test]
async fn the_first_migration_lays_a_table_out_in_months_up_to_two_ahead() {
    let (_database, store) = partitioned(Period::Monthly).await;
    let there = store.partitions().await.unwrap();
    assert_eq!((there.len(), there[0].from), (4, None));
    assert!(has_no_gap(&store).await);
    assert!(there.iter().all(|partition| partition.is_guarded));
    let last = there[3].until.unwrap();
    assert!(last > Utc::now() + Months::new(2) && last <= Utc::now() + Months::new(3));
}

#[tokio::test]
async fn the_first_migration_lays_a_table_out_in_days_up_to_seven_ahead() {
    let (_database, store) = partitioned(Period::Daily).await;
    let there = store.partitions().await.unwrap();
    assert_eq!(there.len(), 9);
    assert!(has_no_gap(&store).await);
}

#[tokio::test]
async fn migrations_leave_a_plain_table_plain_whatever_the_layout_is() {
    let database = Postgres::migrated().await;
    let store = laid_out(&database, Layout::Partitioned(Period::Monthly));
    migrate(&store).await.unwrap();
    assert_eq!(store.partitions().await.unwrap(), []);
    let error = store.create_partitions().await.unwrap_err();
    assert!(error.to_string().contains("convert it first"), "{error}");
}

#[tokio::test]
async fn many_replicas_may_lay_out_the_table_at_once() {
    let database = Postgres::fresh().await;
    let store = laid_out(&database, Layout::Partitioned(Period::Daily));
    let migrations = (0..5).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { migrate(&store).await })
    });
    for migration in migrations.collect::<Vec<_>>() {
        migration.await.unwrap().unwrap();
    }
    assert_eq!(store.partitions().await.unwrap().len(), 9);
}

#[tokio::test]
async fn migrations_make_the_partitions_that_are_missing_as_long_as_the_others() {
    let (database, store) = partitioned(Period::Daily).await;
    let before = store.partitions().await.unwrap();
    for gone in [&before[4], &before[8]] {
        run(&database, format!("DROP TABLE control_plane.{}", gone.name)).await;
    }
    migrate(&database.pool).await.unwrap();
    assert_eq!(store.partitions().await.unwrap(), before);
    assert_eq!(store.create_partitions().await.unwrap(), 0);
}

#[tokio::test]
async fn a_layout_of_another_period_holds_for_partitions_to_come() {
    let (database, store) = partitioned(Period::Daily).await;
    let monthly = laid_out(&database, Layout::Partitioned(Period::Monthly));
    assert!(monthly.create_partitions().await.unwrap() > 0);
    assert!(has_no_gap(&store).await);
    let last = store.partitions().await.unwrap().pop().unwrap();
    assert!(last.until.unwrap() - last.from.unwrap() >= TimeDelta::days(28));
}

#[tokio::test]
async fn no_partition_forgets_on_request() {
    let (database, store) = partitioned(Period::Monthly).await;
    let times = [Utc::now(), Utc::now() - TimeDelta::days(40)];
    store.append(&times.map(at_time)).await.unwrap();
    let mut names: Vec<_> = store.partitions().await.unwrap();
    names.truncate(2);
    let names = names.into_iter().map(|partition| partition.name);
    for name in names.chain(["audit_logs".to_owned()]) {
        for sql in [
            format!("UPDATE control_plane.{name} SET actor_id = 'mallory'"),
            format!("DELETE FROM control_plane.{name}"),
            format!("TRUNCATE control_plane.{name}"),
        ] {
            let error = refused(&database, &sql).await;
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
    }
}

#[tokio::test]
async fn a_row_that_finds_no_partition_gets_one() {
    let (database, store) = partitioned(Period::Daily).await;
    for partition in store.partitions().await.unwrap() {
        run(
            &database,
            format!("DROP TABLE control_plane.{}", partition.name),
        )
        .await;
    }
    // Also those of many days at once.
    let days = (0..100).map(|days| at_time(Utc::now() - TimeDelta::days(3 * days)));
    let batch: Vec<AuditEvent> = days.collect();
    store.append(&batch).await.unwrap();
    store.append(&batch).await.unwrap();
    assert_eq!(rows(&database).await, 100);
    assert!(store.partitions().await.unwrap().len() >= 100);
}

#[tokio::test]
async fn a_pending_row_of_a_day_without_a_partition_is_completed_all_the_same() {
    let (database, store) = partitioned(Period::Daily).await;
    run(&database, "DROP TABLE control_plane.audit_logs_first").await;
    let pending = builder(1).outcome(Outcome::Pending).build();
    let end = crate::contract::end_of(&pending);
    store.append(&[pending.clone(), end.clone()]).await.unwrap();
    let row = store.get(pending.id()).await.unwrap().unwrap();
    assert_eq!((row.outcome(), rows(&database).await), (end.outcome(), 1));
}

#[tokio::test]
async fn a_row_of_a_time_far_ahead_costs_only_itself() {
    let (database, store) = partitioned(Period::Monthly).await;
    let ahead = at_time(Utc::now() + TimeDelta::days(400));
    let error = store.append(&[ahead]).await.unwrap_err();
    assert!(matches!(error, StoreError::Rejected(_)), "{error:?}");
    assert_eq!(rows(&database).await, 0);
}

/// A user who may write, and nothing else.
struct Writer<'a> {
    database: &'a Postgres,
    role: String,
    store: PgStore,
}

impl<'a> Writer<'a> {
    async fn of(database: &'a Postgres) -> Self {
        let role = format!("writer_{}", uuid::Uuid::now_v7().simple());
        let create = format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA control_plane TO {role};
             GRANT INSERT ON control_plane.audit_logs TO {role}"
        );
        run(database, create).await;
        let options = database.options.clone().username(&role);
        let pool = sqlx::PgPool::connect_with(options).await.unwrap();
        Self {
            database,
            role,
            store: PgStore::new(pool),
        }
    }

    async fn gone(self) {
        self.store.pool().close().await;
        let role = self.role;
        run(
            self.database,
            format!("DROP OWNED BY {role}; DROP ROLE {role}"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_user_who_may_not_make_partitions_is_told_who_has_to() {
    let (database, store) = partitioned(Period::Monthly).await;
    let writer = Writer::of(&database).await;
    writer.store.append(&[at_time(Utc::now())]).await.unwrap();
    for partition in store.partitions().await.unwrap() {
        let drop = format!("DROP TABLE control_plane.{}", partition.name);
        run(&database, drop).await;
    }
    let now = writer.store.append(&[at_time(Utc::now())]).await;
    let old = at_time(Utc::now() - TimeDelta::days(400));
    let old = writer.store.append(&[old]).await;
    writer.gone().await;
    let error = now.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("no partition"),
        "{error}"
    );
    // It must not hold up the others.
    assert!(matches!(old, Err(StoreError::Rejected(_))), "{old:?}");
}

#[tokio::test]
async fn a_bound_that_a_conversion_left_costs_no_row() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    run(
        &database,
        "ALTER TABLE control_plane.audit_logs ADD CONSTRAINT audit_logs_first_bound CHECK (created_at < '2020-01-01')",
    )
    .await;
    let writer = Writer::of(&database).await;
    let as_writer = writer.store.append(&[at_time(Utc::now())]).await;
    writer.gone().await;
    let error = as_writer.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("was not finished"),
        "{error}"
    );
    store.append(&[event(1)]).await.unwrap();
    assert_eq!(rows(&database).await, 1);
}

/// What writers wrote, and readers saw, while something went on.
struct Load {
    stop: Arc<AtomicBool>,
    batches: Arc<AtomicUsize>,
    writers: Vec<tokio::task::JoinHandle<BTreeMap<EventId, Outcome>>>,
    reader: tokio::task::JoinHandle<usize>,
}

impl Load {
    /// Starts writers of new rows, of pending ones and of their ends, and a reader who goes through all of them.
    fn start(database: &Postgres) -> Self {
        let (stop, batches) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let store = PgStore::new(database.pool.clone());
        let writers = (0..3).map(|_| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            let batches = Arc::clone(&batches);
            tokio::spawn(async move {
                let mut written = BTreeMap::new();
                while !stop.load(Ordering::Relaxed) {
                    write_some(&store, &mut written).await;
                    batches.fetch_add(1, Ordering::Relaxed);
                }
                written
            })
        });
        let writers = writers.collect();
        let reader = tokio::spawn(read_all(store, Arc::clone(&stop)));
        Self {
            stop,
            batches,
            writers,
            reader,
        }
    }

    /// Waits until so many batches more were written.
    async fn goes_on_for(&self, batches: usize) {
        let end = self.batches.load(Ordering::Relaxed) + batches;
        soon(async {
            while self.batches.load(Ordering::Relaxed) < end {
                assert!(
                    !self
                        .writers
                        .iter()
                        .any(tokio::task::JoinHandle::is_finished)
                );
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Ends it, and checks that everything is there, once and as it was written.
    async fn conserves_everything(self, database: &Postgres) {
        self.stop.store(true, Ordering::Relaxed);
        let mut written = BTreeMap::new();
        for writer in self.writers {
            written.extend(soon(writer).await.unwrap());
        }
        assert!(soon(self.reader).await.unwrap() > 0);
        let store = PgStore::new(database.pool.clone());
        let (mut found, mut events) = (BTreeMap::new(), store.stream(Filter::new(), Seek::Newest));
        while let Some(event) = events.next().await.unwrap() {
            let before = found.insert(event.id(), event.outcome());
            assert_eq!(before, None, "a row is there twice");
        }
        assert_eq!(found, written);
        assert_eq!(
            usize::try_from(rows(database).await).unwrap(),
            written.len()
        );
    }
}

async fn write_some(store: &PgStore, written: &mut BTreeMap<EventId, Outcome>) {
    let mut batch: Vec<AuditEvent> = (0..9).map(|_| at_time(Utc::now())).collect();
    let pending = builder(0)
        .created_at(Utc::now())
        .outcome(Outcome::Pending)
        .build();
    batch.push(pending.clone());
    store.append(&batch).await.unwrap();
    let end = crate::contract::end_of(&pending);
    store.append(std::slice::from_ref(&end)).await.unwrap();
    batch.pop();
    batch.push(end);
    written.extend(batch.iter().map(|event| (event.id(), event.outcome())));
}

/// Reads from the end to the beginning, again and again; what was there before it began is there each time.
async fn read_all(store: PgStore, stop: Arc<AtomicBool>) -> usize {
    let mut least = 0;
    while !stop.load(Ordering::Relaxed) {
        let (mut found, mut events) = (0, store.stream(Filter::new(), Seek::Newest));
        while events.next().await.unwrap().is_some() {
            found += 1;
        }
        assert!(found >= least, "{found} rows, after {least}");
        least = found;
    }
    least
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_table_is_converted_under_load_without_a_row_lost_or_doubled() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    let load = Load::start(&database);
    load.goes_on_for(30).await;
    soon(store.convert(Conversion::to(Period::Monthly)))
        .await
        .unwrap();
    load.goes_on_for(30).await;
    let there = store.partitions().await.unwrap();
    assert!(there.len() >= 3 && there[0].from.is_none());
    assert!(has_no_gap(&store).await);
    load.conserves_everything(&database).await;
}

#[tokio::test]
async fn the_first_partition_ends_with_the_period_of_a_week_ahead() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    store.convert(Conversion::to(Period::Daily)).await.unwrap();
    let first = store.partitions().await.unwrap().remove(0);
    let ahead = first.until.unwrap() - Utc::now();
    assert!(
        ahead >= TimeDelta::days(7) && ahead <= TimeDelta::days(8),
        "{ahead}"
    );
    assert_eq!(bounds_left(&database).await, 0);
}

async fn bounds_left(database: &Postgres) -> i64 {
    let left = "SELECT count(*) FROM pg_constraint WHERE conname = 'audit_logs_first_bound'";
    number(database, left).await
}

#[tokio::test]
async fn rows_of_times_far_ahead_are_in_the_first_partition_too() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    let ahead = at_time(Utc::now() + TimeDelta::days(400));
    store.append(std::slice::from_ref(&ahead)).await.unwrap();
    store
        .convert(Conversion::to(Period::Monthly))
        .await
        .unwrap();
    let there = store.partitions().await.unwrap();
    assert!(there[0].until.unwrap() > ahead.created_at() + TimeDelta::days(7));
    store.append(&[ahead, event(1)]).await.unwrap();
    assert_eq!(rows(&database).await, 2);
}

#[tokio::test]
async fn converting_again_changes_nothing() {
    let (_database, store) = partitioned(Period::Monthly).await;
    let before = store.partitions().await.unwrap();
    store.convert(Conversion::to(Period::Daily)).await.unwrap();
    assert_eq!(store.partitions().await.unwrap(), before);
}

#[tokio::test]
async fn a_missing_table_asks_for_the_migrations() {
    let database = Postgres::fresh().await;
    let store = PgStore::new(database.pool.clone());
    for error in [
        store.partitions().await.unwrap_err(),
        store.create_partitions().await.unwrap_err(),
        store
            .convert(Conversion::to(Period::Daily))
            .await
            .unwrap_err(),
    ] {
        assert!(error.to_string().contains("run the migrations"), "{error}");
    }
}

#[tokio::test]
async fn what_is_on_the_table_is_on_the_converted_one() {
    let database = Postgres::migrated().await;
    let role = format!("reader_{}", uuid::Uuid::now_v7().simple());
    run(
        &database,
        format!(
            "CREATE ROLE {role};
             GRANT SELECT ON control_plane.audit_logs TO {role};
             GRANT UPDATE (outcome, \"reason\") ON control_plane.audit_logs TO {role} WITH GRANT OPTION;
             GRANT INSERT ON control_plane.audit_logs TO PUBLIC;
             ALTER TABLE control_plane.audit_logs ADD COLUMN region text DEFAULT 'eu' CHECK (region <> '');
             CREATE INDEX ours ON control_plane.audit_logs (lower(region)) WHERE region IS NOT NULL;
             COMMENT ON TABLE control_plane.audit_logs IS 'who''s who';
             ALTER TABLE control_plane.audit_logs ENABLE ROW LEVEL SECURITY;
             CREATE POLICY ours ON control_plane.audit_logs FOR SELECT TO {role}, PUBLIC USING (tenant_id = 'a');
             CREATE POLICY more ON control_plane.audit_logs AS RESTRICTIVE FOR INSERT WITH CHECK (region = 'eu');"
        ),
    )
    .await;
    let before = on_the_table(&database).await;
    PgStore::new(database.pool.clone())
        .convert(Conversion::to(Period::Monthly))
        .await
        .unwrap();
    let after = on_the_table(&database).await;
    run(&database, format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    assert!(before.len() > 25, "{before:#?}");
    assert_eq!(after, before);
}

/// What the catalog knows of the table, but for its primary key.
async fn on_the_table(database: &Postgres) -> Vec<String> {
    let sql = "WITH t AS (SELECT * FROM pg_class WHERE oid = 'control_plane.audit_logs'::regclass)
        SELECT regexp_replace(pg_get_indexdef(indexrelid), ' ONLY ', ' ') FROM t, pg_index
            WHERE indrelid = t.oid AND NOT indisprimary
        UNION ALL SELECT pg_get_triggerdef(g.oid) FROM t, pg_trigger AS g WHERE tgrelid = t.oid AND NOT tgisinternal
        UNION ALL SELECT conname || pg_get_constraintdef(c.oid) FROM t, pg_constraint AS c
            WHERE conrelid = t.oid AND contype = 'c'
        UNION ALL SELECT policyname || permissive || roles::text || cmd || coalesce(qual, '') || coalesce(with_check, '')
            FROM pg_policies WHERE tablename = 'audit_logs'
        UNION ALL SELECT unnest(relacl)::text FROM t
        UNION ALL SELECT attname || coalesce(attacl::text, '') || format_type(atttypid, atttypmod) || attnotnull
                || coalesce(pg_get_expr(adbin, adrelid), '')
            FROM t JOIN pg_attribute ON attrelid = t.oid AND attnum > 0
            LEFT JOIN pg_attrdef ON adrelid = t.oid AND adnum = attnum
        UNION ALL SELECT coalesce(obj_description(oid), '') || relrowsecurity || relforcerowsecurity || pg_get_userbyid(relowner) FROM t
        ORDER BY 1";
    sqlx::query_scalar(sql)
        .fetch_all(&database.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_would_stay_behind_is_named_before_anything_is_changed() {
    let database = Postgres::migrated().await;
    run(
        &database,
        "CREATE VIEW denials AS SELECT * FROM control_plane.audit_logs WHERE outcome = 'denied';
         CREATE TABLE notes (log uuid REFERENCES control_plane.audit_logs (id));
         CREATE PUBLICATION feed FOR TABLE control_plane.audit_logs;
         CREATE RULE quiet AS ON DELETE TO control_plane.audit_logs DO INSTEAD NOTHING;
         ALTER TABLE control_plane.audit_logs ADD CONSTRAINT once UNIQUE (request_id, id)",
    )
    .await;
    let before = on_the_table(&database).await;
    let store = PgStore::new(database.pool.clone());
    let error = store
        .convert(Conversion::to(Period::Monthly))
        .await
        .unwrap_err()
        .to_string();
    for found in [
        "view denials",
        "foreign key notes_log_fkey of notes",
        "publication feed",
        "rule quiet",
        "constraint once",
    ] {
        assert!(error.contains(found), "{error}");
    }
    assert_eq!(on_the_table(&database).await, before);
}

#[tokio::test]
async fn a_conversion_gives_up_if_somebody_keeps_the_table_and_leaves_it_as_it_was() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    store.append(&[event(1)]).await.unwrap();
    let mut reader = database.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE control_plane.audit_logs IN ACCESS SHARE MODE")
        .execute(&mut *reader)
        .await
        .unwrap();
    let conversion = Conversion::to(Period::Monthly)
        .lock_timeout(Duration::from_millis(1))
        .patience(Duration::ZERO);
    let error = store.convert(conversion).await.unwrap_err();
    assert!(matches!(error, PartitionError::Locked(_)), "{error:?}");
    store.append(&[event(2)]).await.unwrap();
    reader.rollback().await.unwrap();
    assert_eq!(bounds_left(&database).await, 0);
    store.convert(conversion.patience(LIMIT)).await.unwrap();
    assert_eq!(rows(&database).await, 2);
}

#[tokio::test]
async fn a_conversion_that_was_dropped_is_finished_by_the_next_one() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    // The index waits for whoever writes.
    let mut writer = database.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE control_plane.audit_logs IN ROW EXCLUSIVE MODE")
        .execute(&mut *writer)
        .await
        .unwrap();
    let conversion = {
        let store = store.clone();
        tokio::spawn(async move { store.convert(Conversion::to(Period::Monthly)).await })
    };
    soon(async {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock' AND query LIKE 'CREATE UNIQUE INDEX CONCURRENTLY%'";
        while number(&database, waits).await == 0 {}
    })
    .await;
    let busy = store.convert(Conversion::to(Period::Monthly)).await;
    assert!(matches!(busy, Err(PartitionError::Busy)), "{busy:?}");
    conversion.abort();
    assert!(conversion.await.unwrap_err().is_cancelled());
    writer.rollback().await.unwrap();
    // Until the server has noticed that nobody listens.
    soon(async {
        while let Err(PartitionError::Busy) = store.convert(Conversion::to(Period::Monthly)).await {
        }
    })
    .await;
    assert!(!store.partitions().await.unwrap().is_empty());
}
