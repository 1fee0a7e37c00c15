//! Exports, and imports of them.

use serde_json::{Value, json};
use tower_audit::{
    AnyStore, AuditEvent, EventReader as _, EventWriter as _, Outcome, PageSize, PgStore, Seek,
    SqliteStore,
};

use super::{Operator, old};
use crate::support::{
    database::{Postgres, Sqlite},
    soon,
};

/// Events with everything that a row can have.
fn events() -> Vec<AuditEvent> {
    let full = json!({
        "id": "019a9e3c-7d2e-7c4b-8f00-0123456789ab", "created_at": "2026-10-21T10:00:00.123456Z",
        "actor_type": "api_key", "actor_id": "ключ-1", "action": "project.delete", "target_type": "project",
        "target_id": "7\"'\\,;\u{1F980}", "outcome": "denied", "reason": "not_owner",
        "metadata": {"big": i64::MAX, "bigger": u64::MAX, "half": 0.1, "list": [1, {"a": null}], "=cmd": "=1+1", "плюс": "<script>"},
        "ip_address": "192.0.2.1", "user_agent": "curl/8\u{301}", "status": 403, "method": "DELETE",
        "route": "/projects/{id}", "path": "/projects/7", "duration_us": 1_500_123, "request_id": "r-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "tenant_id": "acme", "actor_name": "=Alice, \"A\"",
        "auth_method": "oidc", "credential_id": "k-1", "on_behalf_of": "bob", "peer_address": "2001:db8::1",
        "service": "shop@1.0.0", "captured": {"query": {"page": "2"}}, "recorded_at": "2026-10-21T10:00:07.000001Z",
    });
    let mut pending = full.clone();
    pending["id"] = json!("019a9e3c-7d2e-7c4b-8f00-0123456789ac");
    pending["outcome"] = json!("pending");
    let mut before = full.clone();
    before["id"] = json!("00000000-0000-4000-8000-000000000000");
    before["created_at"] = json!("1969-07-20T20:17:40Z");
    let some = [full, pending, before].map(|event| serde_json::from_value(event).unwrap());
    let many = (0..700).map(|days| old(days, "alice"));
    some.into_iter().chain(many).collect()
}

/// Returns all rows as JSON, with every column, the oldest first.
async fn rows(store: &AnyStore) -> Vec<Value> {
    let filter = "-action:audit.*".parse().unwrap();
    let mut events = store.stream(filter, Seek::Oldest);
    let mut rows = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        let row = serde_json::to_value(&event).unwrap();
        assert!(row["recorded_at"].is_string(), "{row}");
        rows.push(row);
    }
    rows
}

/// Exports a trail, imports it into two empty ones, and compares all three.
async fn is_the_same_after(url: &str, store: AnyStore, name: &str) {
    let from = Operator::of(url);
    assert_eq!(store.restore(&events()).await.unwrap().new, 703);
    let expected = rows(&store).await;
    assert_eq!(expected.len(), 703);
    from.does(&["export", "--to", name]).await;

    let (postgres, sqlite) = (Postgres::migrated().await, Sqlite::migrated().await);
    let stores: [(&str, AnyStore); 2] = [
        (&postgres.url, PgStore::new(postgres.pool.clone()).into()),
        (&sqlite.url, SqliteStore::new(sqlite.pool.clone()).into()),
    ];
    for (url, into) in stores {
        let file = from.path().join(name);
        let said = Operator::of(url)
            .does(&["import", file.to_str().unwrap()])
            .await;
        assert!(
            said.out.contains("703 events read: 703 are new"),
            "{said:?}"
        );
        assert_eq!(rows(&into).await, expected, "{name}");
        let again = Operator::of(url)
            .does(&["import", file.to_str().unwrap(), "--json"])
            .await;
        assert_eq!(again.objects()[0]["new"], 0, "{again:?}");
        assert_eq!(rows(&into).await, expected, "{name}");
    }
}

#[tokio::test]
async fn an_export_of_postgres_gives_the_same_rows_in_an_empty_database() {
    for name in ["all.jsonl", "all.jsonl.zst", "all.parquet"] {
        let database = Postgres::migrated().await;
        is_the_same_after(
            &database.url,
            PgStore::new(database.pool.clone()).into(),
            name,
        )
        .await;
    }
}

#[tokio::test]
async fn an_export_of_sqlite_gives_the_same_rows_in_an_empty_database() {
    for name in ["all.jsonl.gz", "all.parquet"] {
        let database = Sqlite::migrated().await;
        is_the_same_after(
            &database.url,
            SqliteStore::new(database.pool.clone()).into(),
            name,
        )
        .await;
    }
}

#[tokio::test]
async fn an_export_is_recorded_and_so_is_an_import() {
    let database = Sqlite::migrated().await;
    let operator = Operator::of(&database.url);
    std::fs::write(
        operator.path().join("a.jsonl"),
        serde_json::to_string(&old(1, "alice")).unwrap(),
    )
    .unwrap();
    operator.does(&["import", "a.jsonl"]).await;
    operator
        .does(&["export", "actor:alice", "--to", "b.csv"])
        .await;
    let there = operator
        .does(&["search", "action:audit.*", "--json"])
        .await
        .objects();
    assert_eq!(there[0]["action"], "audit.export.create");
    assert_eq!(there[0]["metadata"]["rows"], 1);
    assert_eq!(there[0]["captured"]["search"], "actor:alice");
    assert_eq!(there[1]["action"], "audit.log.import");
    assert_eq!(there[1]["metadata"]["from"], "a.jsonl");
}

#[tokio::test]
async fn an_export_in_the_words_of_others_is_an_object_or_a_row_an_event() {
    let database = Sqlite::migrated().await;
    let store = SqliteStore::new(database.pool.clone());
    store
        .append(&[old(1, "alice"), old(2, "bob")])
        .await
        .unwrap();
    let operator = Operator::of(&database.url);
    for (format, key) in [
        ("ocsf", "class_uid"),
        ("ecs", "@timestamp"),
        ("cloudevents", "specversion"),
    ] {
        let said = operator
            .does(&["export", "--format", format, "-action:audit.*"])
            .await;
        assert_eq!(said.objects().len(), 2);
        assert!(said.objects()[0].get(key).is_some(), "{said:?}");
    }
    let said = operator
        .does(&["export", "--format", "csv", "-action:audit.*"])
        .await;
    assert_eq!(said.out.lines().count(), 3, "{said:?}");
}

#[tokio::test]
async fn a_bad_line_is_named_and_what_was_before_it_is_written() {
    let database = Sqlite::migrated().await;
    let operator = Operator::of(&database.url);
    let line = |days| serde_json::to_string(&old(days, "alice")).unwrap();
    let file = format!("{}\n\n{{\"id\": 7}}\n{}\n", line(1), line(2));
    std::fs::write(operator.path().join("bad.jsonl"), file).unwrap();
    let said = operator.runs(&["import", "bad.jsonl"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.error.contains("line 3 is no event") && said.error.contains("1 of them written"),
        "{said:?}"
    );
    let said = operator
        .runs(&["import", "bad.jsonl", "--skip-bad", "--json"])
        .await;
    assert_eq!(said.code, 3, "{said:?}");
    let report = &said.objects()[0];
    assert_eq!(
        (&report["read"], &report["new"], &report["bad"]),
        (&json!(2), &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn an_export_that_fails_leaves_the_file_that_was_there() {
    let operator = Operator::of("sqlite:///nowhere/at/all.db");
    std::fs::write(operator.path().join("a.jsonl"), "mine").unwrap();
    assert_eq!(operator.runs(&["export", "--to", "a.jsonl"]).await.code, 1);
    let database = Sqlite::fresh().await;
    let operator = Operator {
        url: database.url.clone(),
        ..operator
    };
    let said = operator.runs(&["export", "--to", "a.jsonl"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(
        std::fs::read_to_string(operator.path().join("a.jsonl")).unwrap(),
        "mine"
    );
    assert_eq!(std::fs::read_dir(operator.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn an_export_that_is_killed_is_in_the_trail_all_the_same() {
    let database = Sqlite::migrated().await;
    let store = SqliteStore::new(database.pool.clone());
    store.restore(&events()).await.unwrap();
    let operator = Operator::of(&database.url);
    // Nobody reads: it does not get to its end.
    let mut export = begins(&operator, &["export"]);
    let exports = async || {
        let filter = "action:audit.export.create".parse().unwrap();
        let page = store.page(&filter, Seek::Newest, PageSize::MAX).await;
        page.unwrap().events
    };
    soon(async {
        while exports().await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    export.kill().await.unwrap();
    assert_eq!(exports().await[0].outcome(), Outcome::Pending);
}

#[tokio::test]
async fn an_export_has_events_of_times_to_come_and_not_itself() {
    let database = Sqlite::migrated().await;
    let store = SqliteStore::new(database.pool.clone());
    store
        .append(&[old(-40, "alice"), old(1, "bob")])
        .await
        .unwrap();
    let operator = Operator::of(&database.url);
    let said = operator.does(&["export"]).await;
    assert_eq!(said.objects().len(), 2, "{said:?}");
}

#[tokio::test]
async fn the_end_of_a_pending_row_is_imported() {
    let (postgres, sqlite) = (Postgres::migrated().await, Sqlite::migrated().await);
    for url in [&postgres.url, &sqlite.url] {
        let operator = Operator::of(url);
        let ended = serde_json::to_string(&old(1, "alice")).unwrap();
        let pending = ended.replace("\"denied\"", "\"pending\"");
        assert_ne!(ended, pending);
        std::fs::write(operator.path().join("pending.jsonl"), pending).unwrap();
        std::fs::write(operator.path().join("ended.jsonl"), ended).unwrap();
        operator.does(&["import", "pending.jsonl"]).await;
        let said = operator.does(&["import", "ended.jsonl", "--json"]).await;
        let report = &said.objects()[0];
        assert_eq!(
            (&report["new"], &report["completed"]),
            (&json!(0), &json!(1))
        );
        let found = operator.does(&["search", "--json", "actor:alice"]).await;
        assert_eq!(found.objects()[0]["outcome"], "denied");
    }
}

#[tokio::test]
async fn events_that_a_table_swallows_are_not_said_to_be_there() {
    let (postgres, sqlite) = (Postgres::migrated().await, Sqlite::migrated().await);
    sqlx::raw_sql("CREATE RULE r AS ON INSERT TO control_plane.audit_logs WHERE NEW.actor_id = 'alice' DO INSTEAD NOTHING")
        .execute(&postgres.pool)
        .await
        .unwrap();
    sqlx::raw_sql("CREATE TRIGGER mine BEFORE INSERT ON audit_logs WHEN NEW.actor_id = 'alice' BEGIN SELECT RAISE(IGNORE); END")
        .execute(&sqlite.pool)
        .await
        .unwrap();
    for url in [&postgres.url, &sqlite.url] {
        let operator = Operator::of(url);
        std::fs::write(
            operator.path().join("a.jsonl"),
            serde_json::to_string(&old(1, "alice")).unwrap(),
        )
        .unwrap();
        let said = operator.runs(&["import", "a.jsonl"]).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.error.contains("a rule or a trigger"), "{said:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_export_goes_through_links_and_into_pipes_and_keeps_the_rights_of_a_file() {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};

    let database = Sqlite::migrated().await;
    let store = SqliteStore::new(database.pool.clone());
    store.append(&[old(1, "alice")]).await.unwrap();
    let operator = Operator::of(&database.url);
    let path = |name: &str| operator.path().join(name);

    std::fs::write(path("file"), "before").unwrap();
    std::fs::set_permissions(path("file"), std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink(path("file"), path("link")).unwrap();
    operator.does(&["export", "--to", "link"]).await;
    assert!(path("link").is_symlink());
    assert!(
        std::fs::read_to_string(path("file"))
            .unwrap()
            .contains("alice")
    );
    let mode = std::fs::metadata(path("file"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);

    let made = tokio::process::Command::new("mkfifo")
        .arg(path("pipe"))
        .status();
    assert!(made.await.unwrap().success());
    let reader = tokio::process::Command::new("cat")
        .arg(path("pipe"))
        .output();
    let (read, said) =
        soon(async { tokio::join!(reader, operator.does(&["export", "--to", "pipe"])) }).await;
    assert_eq!(said.code, 0);
    assert!(
        String::from_utf8(read.unwrap().stdout)
            .unwrap()
            .contains("alice")
    );
    assert!(
        std::fs::metadata(path("pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    for folder in [".", "new/", ""] {
        let said = operator.runs(&["export", "--to", folder]).await;
        assert!(said.error.contains("it is a folder"), "{said:?}");
    }
    symlink("later", path("dangling")).unwrap();
    operator.does(&["export", "--to", "dangling"]).await;
    assert!(path("dangling").is_symlink() && path("later").is_file());
}

#[tokio::test]
async fn an_export_does_not_write_over_the_trail_that_it_reads() {
    let database = Sqlite::migrated().await;
    let operator = Operator::of(&database.url);
    let trail = database.url.trim_start_matches("sqlite://");
    for place in [trail.to_owned(), format!("{trail}-wal")] {
        let said = operator.runs(&["export", "--to", &place]).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.error.contains("is the trail itself"), "{said:?}");
    }
    operator.does(&["search"]).await;
}

#[tokio::test]
async fn an_export_that_the_trail_does_not_take_says_so() {
    let database = Postgres::migrated().await;
    sqlx::raw_sql("CREATE RULE r AS ON INSERT TO control_plane.audit_logs DO INSTEAD NOTHING")
        .execute(&database.pool)
        .await
        .unwrap();
    let said = Operator::of(&database.url).does(&["export"]).await;
    assert!(
        said.error.contains("this is not recorded in the trail"),
        "{said:?}"
    );
}

#[tokio::test]
async fn an_export_that_is_broken_off_is_in_the_trail_with_as_much_as_was_read() {
    let database = Sqlite::migrated().await;
    let store = SqliteStore::new(database.pool.clone());
    store.restore(&events()).await.unwrap();
    let operator = Operator::of(&database.url);
    let mut export = begins(&operator, &["export"]);
    // Whoever reads goes away after the first bytes.
    let mut out = export.stdout.take().unwrap();
    tokio::io::AsyncReadExt::read_u8(&mut out).await.unwrap();
    drop(out);
    soon(export.wait()).await.unwrap();
    let filter = "action:audit.export.create".parse().unwrap();
    let page = store
        .page(&filter, Seek::Newest, PageSize::MAX)
        .await
        .unwrap();
    let event = &page.events[0];
    assert_eq!(event.outcome(), Outcome::Aborted);
    let rows = event.metadata().as_map()["rows"].as_u64().unwrap();
    assert!(rows > 0 && rows < 703, "{rows}");
}

/// Starts a command.
fn begins(operator: &Operator, arguments: &[&str]) -> tokio::process::Child {
    let mut command = operator.command(arguments);
    let command = command.env("DATABASE_URL", &operator.url);
    command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn an_export_that_is_interrupted_leaves_no_file_and_says_so_in_the_trail() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    store.append(&[old(1, "alice")]).await.unwrap();
    // Its event waits for this lock, when its file is there already.
    let waits = "CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_advisory_xact_lock(43); RETURN NEW; END'; \
         CREATE TRIGGER a_waits BEFORE INSERT ON control_plane.audit_logs FOR EACH ROW EXECUTE FUNCTION waits()";
    sqlx::raw_sql(waits).execute(&database.pool).await.unwrap();
    let mut gate = database.pool.begin().await.unwrap();
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(43)");
    lock.execute(&mut *gate).await.unwrap();
    for signal in ["-INT", "-TERM", "-HUP"] {
        let operator = Operator::of(&database.url);
        let mut export = begins(&operator, &["export", "--to", "all.jsonl"]);
        let is_in_it = "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database \
             WHERE datname = current_database() AND locktype = 'advisory' AND objid = 43 AND NOT granted)";
        soon(async {
            while !sqlx::query_scalar::<_, bool>(is_in_it)
                .fetch_one(&database.pool)
                .await
                .unwrap()
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let files = || std::fs::read_dir(operator.path()).unwrap().count();
        assert_eq!(files(), 1, "the one that is to become all.jsonl");
        let id = export.id().unwrap().to_string();
        let mut kill = tokio::process::Command::new("kill");
        assert!(kill.args([signal, &id]).status().await.unwrap().success());
        gate.commit().await.unwrap();
        let ended = soon(export.wait()).await.unwrap();
        assert_eq!((ended.code(), files()), (Some(1), 0), "{signal}");
        gate = database.pool.begin().await.unwrap();
        let lock = sqlx::query("SELECT pg_advisory_xact_lock(43)");
        lock.execute(&mut *gate).await.unwrap();
    }
    let filter = "action:audit.export.create".parse().unwrap();
    let page = store.page(&filter, Seek::Newest, PageSize::MAX).await;
    let outcomes = page.unwrap().events;
    let outcomes: Vec<_> = outcomes.iter().map(AuditEvent::outcome).collect();
    assert_eq!(outcomes, [Outcome::Aborted; 3]);
}
