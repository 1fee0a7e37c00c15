//! A masked value is nowhere in the history.

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;
use tower_audit_history::{History, HistoryError, MaskKey, Track, Triggers};

use super::support::{Tracked, name};

const SECRET: &str = "s3cr3t";

#[tokio::test]
async fn that_a_masked_column_changed_is_known_and_its_value_is_not() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, token text)").await;
        db.track("t", Track::new().mask(["token"]).triggers(triggers))
            .await;
        db.run("INSERT INTO t VALUES (1, NULL); UPDATE t SET token = 's3cr3t'; UPDATE t SET token = 's3cr3t 2'; DELETE FROM t").await;
        let masked = json!({"tower_audit": "masked"});
        assert_eq!(
            db.told().await,
            [
                json!({"insert": {"id": 1}, "new": {"id": 1, "token": null}}),
                json!({"update": {"id": 1}, "old": {"token": null}, "new": {"token": masked}}),
                json!({"update": {"id": 1}, "old": {"token": masked}, "new": {"token": masked}}),
                json!({"delete": {"id": 1}, "old": {"id": 1, "token": masked}}),
            ]
        );
    }
}

#[tokio::test]
async fn what_is_generated_from_a_masked_column_is_masked() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, token text, lower text GENERATED ALWAYS AS (lower(token)) STORED)").await;
    db.track("t", Track::new().mask(["token"])).await;
    db.run("INSERT INTO t VALUES (1, 'S3CR3T')").await;
    assert_eq!(
        db.told().await[0]["new"]["lower"],
        json!({"tower_audit": "masked"})
    );
}

#[tokio::test]
async fn a_masked_key_is_masked_wherever_it_stands() {
    let db = Tracked::with("CREATE TABLE t (token text PRIMARY KEY, n int)").await;
    db.track("t", Track::new().mask(["token"])).await;
    db.run("INSERT INTO t VALUES ('s3cr3t', 1); UPDATE t SET n = 2; UPDATE t SET token = 's3cr3t 2'; DELETE FROM t").await;
    assert_eq!(db.changes().await.len(), 4);
    assert!(!db.everything().await.contains(SECRET));
}

#[tokio::test]
async fn a_hash_tells_which_values_are_the_same() {
    let mut db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, mail text, number int)").await;
    let key = MaskKey::new("2026-11", [7; 32]).unwrap();
    db.history = History::builder(db.database.pool.clone())
        .mask_key(key.clone())
        .build()
        .unwrap();
    db.track("t", Track::new().hash(["mail", "number"])).await;
    db.run("INSERT INTO t VALUES (1, 'alice@example.com', 7), (2, 'alice@example.com', NULL)")
        .await;
    let told = db.told().await;
    let hash = json!({"tower_audit": key.hash("alice@example.com")});
    assert_eq!(
        (&told[0]["new"]["mail"], &told[1]["new"]["mail"]),
        (&hash, &hash)
    );
    assert_eq!(
        told[0]["new"]["number"],
        json!({"tower_audit": key.hash("7")})
    );
    assert_eq!(told[1]["new"]["number"], json!(null));
    assert!(!db.everything().await.contains("alice"));
    db.assert_well().await;
}

#[tokio::test]
async fn hashes_need_a_key_and_a_new_key_a_new_id() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, mail text)").await;
    let track = || Track::new().hash(["mail"]);
    let refused = db.history.track(&name("t"), track()).await.unwrap_err();
    assert!(matches!(refused, HistoryError::NoMaskKey), "{refused:?}");
    for (bytes, is_taken) in [(7, true), (7, true), (8, false)] {
        let key = MaskKey::new("k", [bytes; 16]).unwrap();
        let history = History::builder(db.database.pool.clone())
            .mask_key(key)
            .build()
            .unwrap();
        assert_eq!(history.track(&name("t"), track()).await.is_ok(), is_taken);
    }
}

#[tokio::test]
async fn a_masked_column_stays_masked_when_it_is_renamed() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, token text, note text)").await;
        db.track("t", Track::new().mask(["token"]).triggers(triggers))
            .await;
        // The name of another column that is not masked is the worst that it could get.
        db.run("ALTER TABLE t RENAME note TO old_note; ALTER TABLE t RENAME token TO note")
            .await;
        db.run("INSERT INTO t VALUES (1, 's3cr3t', 'n'); UPDATE t SET note = 's3cr3t 2', old_note = 'm'; DELETE FROM t").await;
        assert_eq!(db.changes().await.len(), 3);
        assert!(!db.everything().await.contains(SECRET));
    }
}

#[tokio::test]
async fn a_masked_column_that_gets_the_name_of_the_key_stays_masked() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = Tracked::with("CREATE TABLE t (id text PRIMARY KEY, token text, note text)").await;
        db.track("t", Track::new().mask(["token"]).triggers(triggers))
            .await;
        db.run("ALTER TABLE t RENAME id TO old_id; ALTER TABLE t RENAME token TO id")
            .await;
        db.run("INSERT INTO t VALUES ('x', 's3cr3t', 'n'); UPDATE t SET id = 's3cr3t 2'; DELETE FROM t").await;
        assert_eq!(db.changes().await.len(), 3);
        assert!(!db.everything().await.contains(SECRET));
    }
}

/// A random table, how it is tracked, and what is done to it.
#[derive(Clone, Debug)]
struct Plan {
    columns: Vec<Column>,
    is_secret_in_key: bool,
    triggers: Triggers,
    steps: Vec<(usize, usize, usize)>,
}

/// A column of it: its type, by number, and whether it is masked or hashed.
#[derive(Clone, Debug)]
struct Column {
    sort: usize,
    is_hashed: bool,
}

/// The types of columns, and a value with a secret in it.
const SORTS: [(&str, &str); 8] = [
    ("text", "'s3cr3t {n}'"),
    ("json", "'{\"a\": \"s3cr3t {n}\"}'"),
    ("jsonb", "'{\"s3cr3t {n}\": 1}'"),
    ("text[]", "ARRAY['x', 's3cr3t {n}']"),
    ("bytea", "'s3cr3t {n}'::bytea"),
    ("pair", "ROW({n}, 's3cr3t {n}')"),
    ("varchar(30)", "'s3cr3t {n}'"),
    ("tsvector", "'s3cr3t {n}'"),
];

fn plan() -> impl Strategy<Value = Plan> {
    let column =
        (0..SORTS.len(), any::<bool>()).prop_map(|(sort, is_hashed)| Column { sort, is_hashed });
    let steps = proptest::collection::vec((0..8_usize, 0..4_usize, 0..100_usize), 1..12);
    let triggers = prop_oneof![Just(Triggers::Row), Just(Triggers::Statement)];
    let all = (
        proptest::collection::vec(column, 1..6),
        any::<bool>(),
        triggers,
        steps,
    );
    all.prop_map(|(columns, is_secret_in_key, triggers, steps)| Plan {
        columns,
        is_secret_in_key,
        triggers,
        steps,
    })
}

impl Plan {
    /// Makes the table, and tracks it.
    async fn begin(&self, db: &Tracked, table: &str) {
        let columns = self.columns.iter().enumerate();
        let definitions: Vec<String> = columns
            .clone()
            .map(|(index, column)| format!("c{index} {}", SORTS[column.sort].0))
            .collect();
        let key = match self.is_secret_in_key {
            true => "token text, PRIMARY KEY (id, token)",
            false => "token text",
        };
        db.run(&format!(
            "CREATE TABLE {table} (id int, {}, {key})",
            definitions.join(", ")
        ))
        .await;
        let of = |is_hashed: bool| {
            let columns = columns
                .clone()
                .filter(move |(_, column)| column.is_hashed == is_hashed);
            columns.map(|(index, _)| format!("c{index}"))
        };
        let track = Track::new().mask(of(false)).hash(of(true)).mask(["token"]);
        db.track(table, track.triggers(self.triggers).longest_value(40))
            .await;
    }

    /// Returns the statement of a step.
    fn sql(&self, table: &str, (step, id, n): (usize, usize, usize)) -> String {
        let value = |column: &Column| SORTS[column.sort].1.replace("{n}", &n.to_string());
        let values: Vec<String> = self.columns.iter().map(value).collect();
        let set: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(index, value)| format!("c{index} = {value}"))
            .collect();
        let (values, set) = (values.join(", "), set.join(", "));
        match step {
            0 | 1 => format!("INSERT INTO {table} VALUES ({id}, {values}, 's3cr3t {n}')"),
            2 => format!("UPDATE {table} SET {set} WHERE id = {id}"),
            3 => format!("UPDATE {table} SET token = 's3cr3t {n} ' || id, id = id + 10"),
            4 => format!("DELETE FROM {table} WHERE id = {id}"),
            5 => format!(
                "MERGE INTO {table} USING (VALUES ({id})) AS s (id) ON {table}.id = s.id WHEN MATCHED THEN UPDATE SET {set} \
                 WHEN NOT MATCHED THEN INSERT (id, token) VALUES (s.id, 's3cr3t')"
            ),
            6 => format!("ALTER TABLE {table} RENAME c0 TO x{n}"),
            _ => format!("ALTER TABLE {table} ADD IF NOT EXISTS added text DEFAULT 's3cr3t added'"),
        }
    }
}

/// Runs a plan; whatever it does, no secret is in the history.
async fn check(db: &Tracked, number: usize, plan: Plan) {
    let table = format!("t{number}");
    plan.begin(db, &table).await;
    for step in &plan.steps {
        // Two rows with the same key, a column that was renamed: what fails changes nothing.
        let _ = db.try_run(&plan.sql(&table, *step)).await;
    }
    let everything = db.everything().await;
    assert!(
        !everything.contains(SECRET),
        "{plan:#?}: {}",
        excerpt(&everything)
    );
    // Bytes are written as hexadecimal digits.
    let digits: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!everything.contains(&digits), "{plan:#?}");
}

fn excerpt(text: &str) -> &str {
    let at = text.find(SECRET).unwrap_or(0).saturating_sub(400);
    text.get(at..(at + 800).min(text.len())).unwrap_or(text)
}

#[tokio::test]
async fn whatever_is_done_to_whichever_table_no_masked_value_is_in_the_history() {
    let mut db = Tracked::with("CREATE TYPE pair AS (a int, b text)").await;
    let key = MaskKey::new("k", [7; 32]).unwrap();
    db.history = History::builder(db.database.pool.clone())
        .mask_key(key)
        .build()
        .unwrap();
    let seed: [u8; 32] = std::array::from_fn(|index| uuid::Uuid::now_v7().as_bytes()[index % 16]);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for number in 0..60 {
        let plan = plan().new_tree(&mut runner).unwrap().current();
        check(&db, number, plan).await;
    }
    assert!(db.changes().await.len() > 60);
}

#[tokio::test]
async fn what_one_partition_generates_from_a_masked_column_is_masked() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = Tracked::with(
            "CREATE TABLE t (id int PRIMARY KEY, a text, s text) PARTITION BY LIST (id);
             CREATE TABLE t_1 (id int NOT NULL, s text, a text GENERATED ALWAYS AS (s) STORED); ALTER TABLE t ATTACH PARTITION t_1 FOR VALUES IN (1)",
        )
        .await;
        db.track("t", Track::new().mask(["s"]).triggers(triggers))
            .await;
        db.run("INSERT INTO t (id, s) VALUES (1, 's3cr3t'); UPDATE t SET s = 's3cr3t 2'; DELETE FROM t")
            .await;
        assert_eq!(db.changes().await.len(), 3);
        assert!(!db.everything().await.contains(SECRET));
    }
}

#[tokio::test]
async fn a_baseline_of_columns_that_have_other_names_is_refused() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, a text, s text); INSERT INTO t VALUES (1, 'a', 's3cr3t')").await;
    db.track("t", Track::new().mask(["s"])).await;
    db.run("ALTER TABLE t RENAME a TO q; ALTER TABLE t RENAME s TO a; ALTER TABLE t RENAME q TO s")
        .await;
    let said = db.history.baseline(&name("t")).await.unwrap_err();
    assert!(said.to_string().ends_with("track it again first"), "{said}");
    assert!(!db.everything().await.contains(SECRET));
}

#[tokio::test]
async fn a_hash_of_a_time_is_the_same_whatever_the_session_writes() {
    for (number, column) in [
        "date",
        "timestamp",
        "timestamptz",
        "time",
        "interval",
        "date[]",
    ]
    .iter()
    .enumerate()
    {
        let mut db =
            Tracked::with(&format!("CREATE TABLE t (id int PRIMARY KEY, at {column})")).await;
        let key = MaskKey::new("k", [7; 32]).unwrap();
        db.history = History::builder(db.database.pool.clone())
            .mask_key(key)
            .build()
            .unwrap();
        db.track("t", Track::new().hash(["at"])).await;
        let value = [
            "2020-01-02",
            "2020-01-02",
            "2020-01-02 UTC",
            "12:00",
            "1 mon 2 days",
            "{2020-01-02}",
        ][number];
        for (id, style) in [(1, "ISO, YMD"), (2, "German, DMY")] {
            db.run(&format!(
                "BEGIN; SET LOCAL DateStyle = 'ISO, YMD'; CREATE TEMP TABLE v ON COMMIT DROP AS SELECT '{value}'::{column} AS at; \
                 SET LOCAL DateStyle = '{style}'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL TimeZone = 'Asia/Tokyo'; \
                 INSERT INTO t SELECT {id}, at FROM v; COMMIT"
            ))
            .await;
        }
        let hashes: Vec<_> = db
            .changes()
            .await
            .iter()
            .map(|change| change.new.as_ref().unwrap()["at"].clone())
            .collect();
        assert_eq!(hashes[0], hashes[1], "{column}");
    }
}
