//! A database that refuses to forget on request, whoever asks.

use chrono::{TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tower_audit::{
    Actor, AuditEvent, EventReader, EventWriter, Filter, Outcome, PageSize, PgStore, Roles, Seek,
    Target, migrate,
    partitions::{Conversion, Layout, Period},
    retention::{Holds, Keep, Retention, RetentionPolicy},
};

use crate::{
    contract::end_of,
    support::{database::Postgres, events},
};

/// A trail with its roles, and a user for each of them.
struct Guarded {
    database: Postgres,
    prefix: String,
    roles: Roles,
}

const ROLES: [&str; 5] = ["owner", "writer", "reader", "retention", "auditor"];

impl Guarded {
    async fn new(layout: Layout, row_security: bool) -> Self {
        let database = Postgres::fresh().await;
        let store = PgStore::builder(database.pool.clone()).layout(layout);
        let store = store.build().unwrap();
        migrate(&store).await.unwrap();
        let id = uuid::Uuid::now_v7().simple().to_string();
        let prefix = format!("t{}", &id[id.len() - 12..]);
        let roles = Roles::new()
            .prefix(&prefix)
            .unwrap()
            .row_security(row_security);
        store.create_roles(&roles).await.unwrap();
        let this = Self {
            database,
            prefix,
            roles,
        };
        for role in this.there() {
            let user = this.user(role);
            let role = format!("{}_{role}", this.prefix);
            this.run(&format!("CREATE ROLE {user} LOGIN; GRANT {role} TO {user}"))
                .await;
        }
        this
    }

    fn there(&self) -> Vec<&'static str> {
        let sql = PgStore::new(self.database.pool.clone()).roles_sql(&self.roles);
        let is_there = |role: &&str| sql.contains(&format!("\"{}_{role}\"", self.prefix));
        ROLES.into_iter().filter(is_there).collect()
    }

    fn user(&self, role: &str) -> String {
        format!("{}_{role}_user", self.prefix)
    }

    async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&self.database.pool)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Returns the store as a user with this role.
    async fn store(&self, role: &str) -> PgStore {
        PgStore::new(self.pool(role).await)
    }

    async fn pool(&self, role: &str) -> PgPool {
        let options = self.database.options.clone().username(&self.user(role));
        PgPool::connect_with(options).await.unwrap()
    }

    /// Runs statements as a user with this role.
    async fn attempt(&self, role: &str, sql: &str) -> sqlx::Result<()> {
        let options = self.database.options.clone().username(&self.user(role));
        let mut connection = PgConnection::connect_with(&options).await?;
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await;
        connection.close().await?;
        done.map(drop)
    }

    /// Takes the roles away: they are of the whole cluster.
    async fn gone(self) {
        let there = self.there();
        for role in &there {
            let user = self.user(role);
            self.run(&format!("DROP OWNED BY {user}; DROP ROLE {user}"))
                .await;
        }
        for role in there {
            let role = format!("{}_{role}", self.prefix);
            self.run(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"))
                .await;
        }
    }
}

fn old(days: i64) -> AuditEvent {
    let event = AuditEvent::builder(
        Actor::user("alice"),
        "project.update",
        Target::new("t", days),
    );
    let event = event.created_at(Utc::now() - TimeDelta::days(days));
    event.tenant_id("acme").metadata("plan", "pro").build()
}

fn thirty_days() -> RetentionPolicy {
    let policy = RetentionPolicy::builder().default_keep(Keep::days(30));
    policy.build().unwrap()
}

/// Every way that somebody may think of to change what is there, or to see it.
const WAYS: &[&str] = &[
    "UPDATE {t} SET actor_id = 'mallory'",
    "UPDATE {t} SET outcome = 'success'",
    "UPDATE {t} SET recorded_at = now()",
    "DELETE FROM {t}",
    "DELETE FROM {t} WHERE target_id = '1'",
    "TRUNCATE {t}",
    "TRUNCATE {t} CASCADE",
    "INSERT INTO {t} SELECT * FROM {t} ON CONFLICT ({key}) DO UPDATE SET actor_id = 'mallory'",
    "MERGE INTO {t} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
    "SET tower_audit.delete_before = '2100-01-01'; DELETE FROM {part}",
    "UPDATE {part} SET actor_id = 'mallory'",
    "DELETE FROM {part}",
    "TRUNCATE {part}",
    "INSERT INTO {part} (actor_id, actor_type, action, target_type, target_id, outcome) VALUES ('a', 'user', 'a.b', 't', '', 'success')",
    "DROP TABLE {t}",
    "DROP TABLE {part}",
    "DROP SCHEMA control_plane CASCADE",
    "ALTER TABLE {t} DISABLE TRIGGER ALL",
    "ALTER TABLE {part} DISABLE TRIGGER USER",
    "ALTER TABLE {t} DETACH PARTITION {part}",
    "ALTER TABLE {t} RENAME TO gone",
    "ALTER TABLE {t} DROP COLUMN actor_id",
    "ALTER TABLE {t} ALTER COLUMN actor_id TYPE text USING 'mallory'",
    "ALTER TABLE {t} DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE {t} OWNER TO CURRENT_USER",
    "DROP TRIGGER audit_logs_append_only ON {t}",
    "CREATE TRIGGER ours BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION control_plane.audit_logs_append_only()",
    "CREATE RULE quiet AS ON INSERT TO {t} DO INSTEAD NOTHING",
    "CREATE OR REPLACE FUNCTION control_plane.audit_logs_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    "ALTER FUNCTION control_plane.audit_logs_append_only() RENAME TO gone",
    "SET session_replication_role = replica",
    "COPY {t} FROM PROGRAM 'true'",
    "INSERT INTO {t} (actor_id, actor_type, action, target_type, target_id, outcome, recorded_at)
        VALUES ('a', 'user', 'a.b', 't', '', 'success', '2020-01-01')",
    "UPDATE control_plane._tower_audit_migrations SET success = false",
    "DELETE FROM control_plane._tower_audit_migrations",
    "DELETE FROM control_plane.audit_logs_holds",
    "UPDATE control_plane.audit_logs_holds SET released_at = now()",
    "INSERT INTO control_plane.audit_logs_holds (name, search, reason) VALUES ('a', 'actor:a', 'b')",
    "DELETE FROM control_plane.audit_logs_retention",
    "SET tower_audit.delete_before = '2100-01-01'; DELETE FROM {t}",
    "UPDATE control_plane.audit_logs_retention SET floor = '0'",
    "GRANT ALL ON {t} TO CURRENT_USER WITH GRANT OPTION",
    "SET ROLE {owner}",
];

#[tokio::test]
async fn no_role_but_the_owner_gets_round_the_table() {
    for layout in [Layout::Plain, Layout::Partitioned(Period::Monthly)] {
        let guarded = Guarded::new(layout, false).await;
        let store = PgStore::new(guarded.database.pool.clone());
        store.append(&[old(1), old(2)]).await.unwrap();
        let of_month = store.partitions().await.unwrap();
        let part = of_month
            .first()
            .map_or("audit_logs", |partition| &partition.name);
        let fill = |sql: &str| {
            sql.replace("{t}", "control_plane.audit_logs")
                .replace("{part}", &format!("control_plane.{part}"))
                .replace(
                    "{key}",
                    if of_month.is_empty() {
                        "id"
                    } else {
                        "id, created_at"
                    },
                )
                .replace("{owner}", &format!("{}_owner", guarded.prefix))
        };
        let mut passed = Vec::new();
        for role in ["writer", "reader", "retention"] {
            let mut ways: Vec<&str> = WAYS.to_vec();
            match role {
                "writer" => ways.extend(["SELECT * FROM {t}", "SELECT metadata FROM {t}", "SELECT path FROM {t}"]),
                "reader" => ways.push("INSERT INTO {t} (actor_id, actor_type, action, target_type, target_id, outcome) VALUES ('a', 'user', 'a.b', 't', '', 'success')"),
                _ => {}
            }
            // A plain table has no other parts.
            ways.retain(|way| !of_month.is_empty() || !way.starts_with("INSERT INTO {part}"));
            for way in ways {
                if guarded.attempt(role, &fill(way)).await.is_ok() {
                    passed.push((role, way));
                }
            }
        }
        // Nor does the owner by accident.
        for way in &WAYS[..8] {
            if guarded.attempt("owner", &fill(way)).await.is_ok() {
                passed.push(("owner", way));
            }
        }
        let page = store
            .page(&Filter::new(), Seek::Newest, PageSize::MAX)
            .await
            .unwrap();
        guarded.gone().await;
        // Postgres lets it pass where the statement does nothing.
        passed.retain(|(_, way)| !way.starts_with("GRANT ALL"));
        assert_eq!(passed, []);
        assert_eq!(page.events.len(), 2);
    }
}

#[tokio::test]
async fn the_writer_writes_and_completes_and_reads_nothing() {
    for layout in [Layout::Plain, Layout::Partitioned(Period::Monthly)] {
        let guarded = Guarded::new(layout, false).await;
        let writer = guarded.store("writer").await;
        // What a service does when it starts.
        migrate(&writer).await.unwrap();
        writer.check().await.unwrap();
        let pending = events::builder(1).outcome(Outcome::Pending).build();
        let given_up = events::builder(2).outcome(Outcome::Pending).build();
        writer
            .append(&[pending.clone(), given_up.clone()])
            .await
            .unwrap();
        writer.append(std::slice::from_ref(&pending)).await.unwrap();
        writer.append(&[end_of(&pending)]).await.unwrap();
        assert_eq!(writer.reap(events::at(100)).await.unwrap(), 1);
        assert!(writer.get(pending.id()).await.is_err());
        let reader = guarded.store("reader").await;
        let row = reader.get(pending.id()).await.unwrap().unwrap();
        assert_eq!(row.outcome(), Outcome::Failure);
        let row = reader.get(given_up.id()).await.unwrap().unwrap();
        assert_eq!(row.outcome(), Outcome::Unknown);
        writer.pool().close().await;
        reader.pool().close().await;
        guarded.gone().await;
    }
}

#[tokio::test]
async fn the_reader_answers_every_question_and_writes_nothing() {
    let guarded = Guarded::new(Layout::Plain, false).await;
    let event = old(1);
    PgStore::new(guarded.database.pool.clone())
        .append(std::slice::from_ref(&event))
        .await
        .unwrap();
    let reader = guarded.store("reader").await;
    let page = reader
        .page(
            &"meta.plan:pro".parse().unwrap(),
            Seek::Newest,
            PageSize::MAX,
        )
        .await;
    let tail = reader.tail(None, PageSize::MAX).await;
    let status = tower_audit::migration_status(&reader).await;
    let dry = Retention::builder(thirty_days())
        .build(reader.clone())
        .dry_run()
        .await;
    let append = reader.append(&[old(2)]).await;
    reader.pool().close().await;
    guarded.gone().await;
    assert_eq!(page.unwrap().events.len(), 1);
    tail.unwrap();
    assert!(
        status
            .unwrap()
            .iter()
            .all(|migration| migration.applied_at.is_some())
    );
    dry.unwrap();
    assert!(
        append
            .unwrap_err()
            .to_string()
            .contains("lacks a privilege")
    );
}

#[tokio::test]
async fn retention_deletes_what_is_due_and_only_the_owner_drops_partitions() {
    let guarded = Guarded::new(Layout::Plain, false).await;
    let owner = guarded.store("owner").await;
    let store = PgStore::new(guarded.database.pool.clone());
    store.append(&[old(50), old(40), old(1)]).await.unwrap();
    Holds::new(owner.clone())
        .place("case", "target:50".parse().unwrap(), "114")
        .await
        .unwrap();
    let retention = guarded.store("retention").await;
    let report = Retention::builder(thirty_days())
        .build(retention.clone())
        .run()
        .await;
    let hold = Holds::new(retention.clone()).release("case").await;
    retention.pool().close().await;
    owner
        .convert(Conversion::to(Period::Monthly))
        .await
        .unwrap();
    let there = owner.partitions().await.unwrap();
    owner.pool().close().await;
    guarded.gone().await;
    assert_eq!(report.unwrap().deleted, 1);
    assert!(hold.is_err());
    assert!(there.len() > 2);
}

#[tokio::test]
async fn what_the_owner_makes_is_the_owners_whoever_is_a_member() {
    let guarded = Guarded::new(Layout::Plain, false).await;
    let owner = guarded.store("owner").await;
    migrate(&owner).await.unwrap();
    owner.convert(Conversion::to(Period::Daily)).await.unwrap();
    owner.pool().close().await;
    let owners: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class
         WHERE relname LIKE 'audit_logs%' OR relname LIKE 'idx_audit%' OR relname LIKE '_tower%'",
    )
    .fetch_all(&guarded.database.pool)
    .await
    .unwrap();
    let writer = guarded.store("writer").await;
    let written = writer.append(&[old(1)]).await;
    writer.pool().close().await;
    let expected = format!("{}_owner", guarded.prefix);
    guarded.gone().await;
    assert_eq!(owners, [expected]);
    written.unwrap();
}

#[tokio::test]
async fn row_security_shows_a_reader_one_tenant_and_an_auditor_all() {
    for layout in [Layout::Plain, Layout::Partitioned(Period::Monthly)] {
        let guarded = Guarded::new(layout, true).await;
        let writer = guarded.store("writer").await;
        let of = |tenant: &str| {
            let event = AuditEvent::builder(Actor::user("a"), "a.b", Target::new("t", "1"));
            event.tenant_id(tenant).build()
        };
        let (acme, umbrella) = (of("acme"), of("umbrella"));
        writer
            .append(&[acme.clone(), umbrella.clone(), old(50)])
            .await
            .unwrap();
        let pending = events::builder(1).outcome(Outcome::Pending).build();
        writer.append(std::slice::from_ref(&pending)).await.unwrap();
        writer.append(&[end_of(&pending)]).await.unwrap();
        let (reader, auditor) = (guarded.pool("reader").await, guarded.pool("auditor").await);
        let all = Filter::new();
        let page = |store: PgStore| {
            let all = all.clone();
            async move {
                store
                    .page(&all, Seek::Newest, PageSize::MAX)
                    .await
                    .unwrap()
                    .events
                    .len()
            }
        };
        assert_eq!(page(PgStore::new(auditor.clone())).await, 4);
        assert_eq!(page(PgStore::new(reader.clone())).await, 0);
        let scoped = PgStore::builder(reader.clone())
            .tenant("umbrella")
            .build()
            .unwrap();
        assert_eq!(page(scoped.clone()).await, 1);
        assert_eq!(scoped.get(acme.id()).await.unwrap(), None);
        assert!(scoped.get(umbrella.id()).await.unwrap().is_some());
        let other = Filter::new().tenant_id("acme");
        let other = scoped
            .page(&other, Seek::Newest, PageSize::MAX)
            .await
            .unwrap();
        assert_eq!(other.events.len(), 0);
        let retention = guarded.store("retention").await;
        let report = Retention::builder(thirty_days())
            .build(retention.clone())
            .run()
            .await
            .unwrap();
        assert_eq!(report.deleted, 1);
        for pool in [writer.pool(), &reader, &auditor, retention.pool()] {
            pool.close().await;
        }
        guarded.gone().await;
    }
}

#[tokio::test]
async fn roles_may_be_made_again_and_a_prefix_has_to_be_a_name() {
    let guarded = Guarded::new(Layout::Partitioned(Period::Monthly), true).await;
    let store = PgStore::new(guarded.database.pool.clone());
    let again = store.create_roles(&guarded.roles).await;
    guarded.gone().await;
    again.unwrap();
    let error = Roles::new().prefix("a\"; DROP TABLE x; --").unwrap_err();
    assert!(
        error.to_string().contains("is not a usable role name"),
        "{error}"
    );
}
