//! What migrations of the app do to a table that is tracked: whatever has the names of its columns, no masked value is shown.

use std::fmt::Write as _;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;
use sqlx::Executor as _;
use tower_audit_history::{Finding, Track, Triggers};

use super::support::{Tracked, name};
use crate::support::soon;

const SECRET: &str = "s3cr3t";
const BOTH: [Triggers; 2] = [Triggers::Row, Triggers::Statement];

/// A step of a migration. Columns are named by their place, names by their number.
#[derive(Clone, Debug)]
enum Step {
    Drop(usize),
    Rename(usize, usize),
    Add(usize),
    /// A column that is made of the secret.
    Generate(usize),
    Write,
    /// What a dump and a restore leave of it.
    Restore,
}

const NAMES: [&str; 5] = ["a", "b", "secret", "c", "d"];

fn step() -> impl Strategy<Value = Step> {
    let (column, name) = (0..6_usize, 0..NAMES.len());
    prop_oneof![
        3 => column.clone().prop_map(Step::Drop),
        5 => (column, name.clone()).prop_map(|(column, name)| Step::Rename(column, name)),
        3 => name.clone().prop_map(Step::Add),
        1 => name.prop_map(Step::Generate),
        3 => Just(Step::Write),
        1 => Just(Step::Restore),
    ]
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    Secret,
    Other,
    MadeOfSecret,
}

/// The columns of a table, beside its key, as they are.
#[derive(Clone, Debug)]
struct Columns(Vec<(String, Held)>);

impl Columns {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(there, _)| there == name)
    }

    /// Returns the statement of a step, if it can be done.
    fn migrate(&mut self, step: &Step, table: &str) -> Option<String> {
        match step {
            Step::Drop(place) => {
                let (name, held) = self.0.get(*place)?.clone();
                if held == Held::Secret {
                    return None;
                }
                self.0.remove(*place);
                Some(format!("ALTER TABLE {table} DROP {name}"))
            }
            Step::Rename(place, to) => {
                let to = NAMES[*to];
                if self.has(to) {
                    return self.swap(*place, to, table);
                }
                let (name, _) = self.0.get_mut(*place)?;
                let from = std::mem::replace(name, to.to_owned());
                Some(format!("ALTER TABLE {table} RENAME {from} TO {to}"))
            }
            Step::Add(name) if !self.has(NAMES[*name]) => {
                self.0.push((NAMES[*name].to_owned(), Held::Other));
                Some(format!("ALTER TABLE {table} ADD {} text", NAMES[*name]))
            }
            Step::Generate(name) if !self.has(NAMES[*name]) => {
                let (secret, _) = self.0.iter().find(|(_, held)| *held == Held::Secret)?;
                let sql = format!(
                    "ALTER TABLE {table} ADD {} text GENERATED ALWAYS AS (upper({secret})) STORED",
                    NAMES[*name]
                );
                self.0.push((NAMES[*name].to_owned(), Held::MadeOfSecret));
                Some(sql)
            }
            _ => None,
        }
    }

    /// Two columns get each other's names.
    fn swap(&mut self, place: usize, to: &str, table: &str) -> Option<String> {
        let other = self.0.iter().position(|(name, _)| name == to)?;
        let from = self.0.get(place)?.0.clone();
        if other == place {
            return None;
        }
        self.0[place].0 = to.to_owned();
        self.0[other].0.clone_from(&from);
        Some(format!(
            "ALTER TABLE {table} RENAME {from} TO between; ALTER TABLE {table} RENAME {to} TO {from}; ALTER TABLE {table} RENAME between TO {to}"
        ))
    }

    /// Returns statements that write, and of which no two columns have the same value.
    fn write(&self, table: &str, id: usize) -> String {
        let written: Vec<&(String, Held)> = self
            .0
            .iter()
            .filter(|(_, held)| *held != Held::MadeOfSecret)
            .collect();
        let value = |(name, held): &(String, Held)| match held {
            Held::Secret => format!("'s3cr3t {id}'"),
            _ => format!("'value of {name} {id}'"),
        };
        let mut names = "id".to_owned();
        let (mut values, mut set) = (id.to_string(), "id = id".to_owned());
        for column in written {
            let value = value(column);
            let _ = write!(names, ", {}", column.0);
            let _ = write!(values, ", {value}");
            let _ = write!(set, ", {} = {value} || ' again'", column.0);
        }
        format!(
            "INSERT INTO {table} ({names}) VALUES ({values}); UPDATE {table} SET {set}; DELETE FROM {table} WHERE id < {id}; \
             INSERT INTO {table} (id) VALUES (-{id}); UPDATE {table} SET {set} WHERE id = -{id}"
        )
    }
}

/// Returns the statements that make the table, with a column to be dropped or without.
fn create(table: &str, is_partitioned: bool, gone: &str) -> String {
    let own = format!("id int PRIMARY KEY, {gone} a text, secret text, b text");
    match is_partitioned {
        false => format!("CREATE TABLE {table} ({own})"),
        true => format!(
            "CREATE TABLE {table} ({own}) PARTITION BY RANGE (id); \
             CREATE TABLE {table}_1 (b text, id int NOT NULL, secret text, {gone} a text); \
             ALTER TABLE {table} ATTACH PARTITION {table}_1 FOR VALUES FROM (0) TO (1000); \
             CREATE TABLE {table}_2 PARTITION OF {table} DEFAULT"
        ),
    }
}

/// Makes the table anew as it is after `pg_dump` and restore: another one, of which the columns have no gaps, with the same triggers.
async fn restore(db: &Tracked, table: &str, is_partitioned: bool) {
    let triggers: Vec<String> = sqlx::query_scalar(
        "SELECT pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid \
         WHERE c.relname IN ($1, $1 || '_1', $1 || '_2') AND t.tgparentid = 0 AND NOT t.tgisinternal",
    )
    .bind(table)
    .fetch_all(&db.database.pool)
    .await
    .unwrap();
    db.run(&format!(
        "DROP TABLE {table}; {}; {}",
        create(table, is_partitioned, ""),
        triggers.join("; ")
    ))
    .await;
    let tracked = db.history.status().await.unwrap();
    let of_it = tracked.iter().find(|tracked| tracked.name == name(table));
    assert_eq!(of_it.unwrap().findings, []);
}

/// Does the steps, and writes after each.
async fn check(
    db: &Tracked,
    number: usize,
    (is_partitioned, triggers): (bool, Triggers),
    steps: &[Step],
) {
    let table = format!("t{number}");
    let mut columns = Columns(vec![
        ("a".to_owned(), Held::Other),
        ("secret".to_owned(), Held::Secret),
        ("b".to_owned(), Held::Other),
    ]);
    db.run(&create(&table, is_partitioned, "gone int,")).await;
    // A gap before the columns, which a restore closes.
    db.run(&format!("ALTER TABLE {table} DROP gone")).await;
    let track = Track::new().mask(["secret"]).triggers(triggers);
    db.track(&table, track).await;
    let mut done = Vec::new();
    for (id, step) in (1..).zip(steps) {
        match step {
            Step::Restore if done.is_empty() => restore(db, &table, is_partitioned).await,
            Step::Write | Step::Restore => {}
            step => {
                let Some(sql) = columns.migrate(step, &table) else {
                    continue;
                };
                // What other columns are made of cannot be dropped.
                if db.try_run(&sql).await.is_err() {
                    return;
                }
                done.push(sql);
            }
        }
        db.run(&columns.write(&table, id)).await;
        let everything = db.everything().await.to_lowercase();
        assert!(
            !everything.contains(SECRET),
            "partitioned: {is_partitioned}, {triggers:?}: {done:#?}"
        );
    }
}

#[tokio::test]
async fn whichever_names_a_migration_gives_to_columns_no_masked_value_is_shown() {
    let db = Tracked::with("").await;
    let seed: [u8; 32] = std::array::from_fn(|index| uuid::Uuid::now_v7().as_bytes()[index % 16]);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let steps = proptest::collection::vec(step(), 4..12);
    for number in 0..40 {
        let kind = (number % 2 == 0, BOTH[number / 2 % 2]);
        let steps = steps.new_tree(&mut runner).unwrap().current();
        check(&db, number, kind, &steps).await;
    }
}

#[tokio::test]
async fn a_name_that_was_dropped_and_given_away_shows_no_masked_value() {
    use Step::{Add, Drop, Generate, Rename};
    let db = Tracked::with("").await;
    let dances: [&[Step]; 5] = [
        // The masked one gets the name of a, and what is there, or is made, the masked one's.
        &[Drop(0), Rename(0, 0), Rename(1, 2)],
        &[Drop(0), Rename(0, 0), Rename(1, 2), Add(1)],
        &[Drop(0), Rename(0, 0), Add(2)],
        &[Drop(1), Rename(0, 1), Add(2)],
        // What is generated from it gets an old name.
        &[Drop(2), Generate(1)],
    ];
    let mut number = 0;
    for steps in dances {
        for kind in [
            (false, BOTH[0]),
            (false, BOTH[1]),
            (true, BOTH[0]),
            (true, BOTH[1]),
        ] {
            number += 1;
            check(&db, number, kind, steps).await;
        }
    }
}

#[tokio::test]
async fn a_transaction_that_began_before_a_migration_shows_no_masked_value() {
    for triggers in BOTH {
        let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, a text, secret text)").await;
        db.track("t", Track::new().mask(["secret"]).triggers(triggers))
            .await;
        let mut session = db.session().await;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class";
        session.execute(begin).await.unwrap();
        db.run(
            "ALTER TABLE t DROP a; ALTER TABLE t RENAME secret TO a; ALTER TABLE t ADD secret text",
        )
        .await;
        let write = "INSERT INTO t (id, a) VALUES (1, 's3cr3t'); COMMIT";
        session.execute(write).await.unwrap();
        assert_eq!(db.changes().await.len(), 1);
        assert!(!db.everything().await.contains(SECRET));
    }
}

/// COPY looks at the database as it was before it waited for the table.
#[tokio::test]
async fn a_copy_that_waited_for_a_migration_shows_no_masked_value() {
    for triggers in BOTH {
        let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, a text, secret text)").await;
        db.track("t", Track::new().mask(["secret"]).triggers(triggers))
            .await;
        let mut migration = db.session().await;
        let swap = "BEGIN; ALTER TABLE t RENAME a TO b; ALTER TABLE t RENAME secret TO a; ALTER TABLE t RENAME b TO secret";
        migration.execute(swap).await.unwrap();
        let mut session = db.session().await;
        let write = tokio::spawn(async move {
            let mut copy = session.copy_in_raw("COPY t (id, a) FROM STDIN").await?;
            copy.send(b"1\ts3cr3t\n".as_slice()).await?;
            copy.finish().await
        });
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'COPY t%')";
        soon(async {
            while !sqlx::query_scalar::<_, bool>(waits)
                .fetch_one(&db.database.pool)
                .await
                .unwrap()
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
        migration.execute("COMMIT").await.unwrap();
        assert_eq!(soon(write).await.unwrap().unwrap(), 1);
        assert_eq!(db.changes().await.len(), 1);
        assert!(!db.everything().await.contains(SECRET));
    }
}

#[tokio::test]
async fn the_columns_are_looked_at_once_and_again_when_the_table_was_changed() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, a text, secret text)").await;
    db.track("t", Track::new().mask(["secret"])).await;
    let mut session = db.session().await;
    session
        .execute("SET track_functions = 'all'")
        .await
        .unwrap();
    let mut looked = async |sql: &str| -> i64 {
        let sql = format!("{sql}; SELECT pg_stat_force_next_flush()");
        session.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        let calls = "SELECT coalesce(pg_stat_get_function_calls('control_plane.row_changes_columns_are'::regproc), 0)";
        sqlx::query_scalar(calls)
            .fetch_one(&mut session)
            .await
            .unwrap()
    };
    let write =
        "INSERT INTO t VALUES (1, 'a', 'b'), (2, 'a', 'b'); UPDATE t SET a = 'c'; DELETE FROM t";
    assert_eq!(looked(write).await, 1);
    assert_eq!(looked(write).await, 1);
    db.run("ALTER TABLE t RENAME a TO d; ALTER TABLE t RENAME d TO a")
        .await;
    assert_eq!(looked(write).await, 2);
    assert_eq!(looked(write).await, 2);
}

#[tokio::test]
async fn the_columns_that_kept_their_names_are_recorded_beside_those_that_lost_theirs() {
    for triggers in BOTH {
        let db =
            Tracked::with("CREATE TABLE t (id numeric PRIMARY KEY, a text, b text, secret text)")
                .await;
        db.track("t", Track::new().mask(["secret"]).triggers(triggers))
            .await;
        db.run(
            "ALTER TABLE t RENAME secret TO token; ALTER TABLE t DROP a; ALTER TABLE t ADD a text; \
             INSERT INTO t VALUES (1.50, 'b', 's3cr3t', 'a')",
        )
        .await;
        let unknown = json!({"tower_audit": "unknown"});
        assert_eq!(
            db.told().await,
            [
                json!({"insert": {"id": "1.5"}, "new": {"id": "1.50", "b": "b", "token": unknown, "a": unknown}})
            ]
        );
    }
}

#[tokio::test]
async fn a_partition_of_a_partition_is_recorded_with_its_masks() {
    let db = Tracked::with(
        "CREATE TABLE above (x text, id int, secret text) PARTITION BY LIST (x); \
         CREATE TABLE t (secret text, gone int, id int, x text) PARTITION BY RANGE (id); ALTER TABLE t DROP gone; \
         ALTER TABLE above ATTACH PARTITION t DEFAULT; CREATE TABLE t_1 PARTITION OF t DEFAULT",
    )
    .await;
    let track = Track::new().mask(["secret"]).key(["id"]);
    db.track("t", track.clone()).await;
    db.assert_well().await;
    db.run("INSERT INTO above (x, id, secret) VALUES ('y', 1, 's3cr3t')")
        .await;
    assert_eq!(
        db.told().await[0]["new"],
        json!({"id": 1, "x": "y", "secret": {"tower_audit": "masked"}})
    );
    let said = db.history.track(&name("t_1"), Track::new()).await;
    assert_eq!(
        said.unwrap_err().to_string(),
        "public.t_1 is a partition of public.t, and tracked with it: there is nothing to do"
    );
    let said = db
        .history
        .track(&name("t"), track.triggers(Triggers::Statement))
        .await;
    assert_eq!(
        said.unwrap_err().to_string(),
        "public.t is a part of public.above, and statements that name that one fire no triggers for statements of its parts: \
         take triggers for rows"
    );
}

#[tokio::test]
async fn a_table_that_becomes_a_partition_keeps_its_masks_and_is_found_if_its_changes_are_not_recorded()
 {
    for triggers in BOTH {
        let db = Tracked::with(
            "CREATE TABLE t (id int PRIMARY KEY, secret text, v text) PARTITION BY RANGE (id); CREATE TABLE t_1 PARTITION OF t DEFAULT; \
             CREATE TABLE above (id int, secret text, v text) PARTITION BY RANGE (id)",
        )
        .await;
        db.track("t", Track::new().mask(["secret"]).triggers(triggers))
            .await;
        db.run("ALTER TABLE t RENAME secret TO x; ALTER TABLE t RENAME v TO secret; ALTER TABLE t RENAME x TO v; \
             ALTER TABLE above ATTACH PARTITION t DEFAULT; INSERT INTO t (id, v, secret) VALUES (1, 's3cr3t', 'v')")
            .await;
        assert_eq!(db.changes().await.len(), 1);
        assert!(!db.everything().await.contains(SECRET));
        let findings = db.history.verify().await.unwrap();
        let is_it = |finding: &Finding| matches!(finding, Finding::StatementsOfPartition { .. });
        let is_found = findings.iter().any(|(_, finding)| is_it(finding));
        assert_eq!(is_found, triggers == Triggers::Statement, "{findings:?}");
    }
}
