//! Roles that may do no more than they have to.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{PgStore, statements::COMPLETED};
use crate::{
    columns::WRITTEN,
    migrate::{LOCK, MigrateError, books, database},
    table::{Identifier, IdentifierError},
};

/// The roles of a trail in Postgres, which [`PgStore::create_roles`] makes. None of them can log in: grant them to users who can.
///
/// | role | may |
/// |---|---|
/// | `tower_audit_owner` | change the table, migrate, make and drop partitions, place and release holds, set the floor |
/// | `tower_audit_writer` | insert events, and complete pending ones: it can neither read nor change anything else of them, nor say when the database got them |
/// | `tower_audit_reader` | read; with [row security](Self::row_security) only one tenant |
/// | `tower_audit_auditor` | read the events of all tenants; only with row security |
/// | `tower_audit_retention` | what the writer may, read, and delete what is older than the [floor](crate::retention::floor) |
///
/// A service connects as a user with `writer` (and `reader`, if it serves the viewer), and nobody as one with `owner` but
/// whoever migrates.
#[derive(Clone, Debug)]
pub struct Roles {
    prefix: Identifier,
    row_security: bool,
}

impl Roles {
    /// Returns the roles of which the names begin with `tower_audit`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            prefix: Identifier::known("tower_audit"),
            row_security: false,
        }
    }

    /// Sets with what the names begin. Defaults to `tower_audit`. Roles are of the whole cluster: two trails in it may
    /// share them or not.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not an identifier.
    pub fn prefix(mut self, prefix: &str) -> Result<Self, IdentifierError> {
        self.prefix = Identifier::parse("role", prefix)?;
        Ok(self)
    }

    /// Lets readers see the events of one tenant alone: of the one in the setting `tower_audit.tenant`, which
    /// [`PgStoreBuilder::tenant`](super::PgStoreBuilder::tenant) sets, and of none without it. Whoever writes SQL of their own
    /// can set it, too: it keeps a forgotten condition from showing the rows of others, and is no wall against the user. Defaults to
    /// off; turning it off later leaves it on.
    #[must_use]
    pub fn row_security(mut self, is_on: bool) -> Self {
        self.row_security = is_on;
        self
    }

    /// Returns the name of a role, quoted.
    fn role(&self, role: &str) -> String {
        format!(r#""{}""#, self.name(role))
    }

    /// Returns the name of a role, as the catalog has it.
    pub(super) fn name(&self, role: &str) -> String {
        format!("{}_{role}", self.prefix.as_str())
    }

    fn all(&self) -> Vec<String> {
        let mut roles = vec!["owner", "writer", "reader", "retention"];
        if self.row_security {
            roles.push("auditor");
        }
        roles.into_iter().map(|role| self.role(role)).collect()
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self::new()
    }
}

impl PgStore {
    /// Makes the roles where they are missing, and gives the table to them: the owner to the owner, and to the others the privileges
    /// that they need. Privileges that others were granted stay.
    ///
    /// Run it after [`migrate`](crate::migrate), and again after one that made new tables; it may be repeated. It takes a
    /// superuser, or the owner of the table with CREATEROLE. From then on, who migrates has to be a member of the owner's role; this
    /// user becomes one.
    ///
    /// # Errors
    ///
    /// Returns [`MigrateError::Database`] for whatever the database refused; nothing is changed then.
    pub async fn create_roles(&self, roles: &Roles) -> Result<(), MigrateError> {
        let mut tx = self.pool().begin().await.map_err(database)?;
        match create(self, &mut tx, roles).await {
            Ok(()) => tx.commit().await.map_err(database),
            Err(error) => {
                let _ = tx.rollback().await;
                Err(database(error))
            }
        }
    }

    /// Returns the statements of [`create_roles`](Self::create_roles), for somebody else to run.
    #[must_use]
    pub fn roles_sql(&self, roles: &Roles) -> String {
        let mut statements = made(roles);
        statements.extend(owned(self, roles));
        statements.extend(granted(self, roles));
        if roles.row_security {
            statements.extend(secured(self, roles));
        }
        statements.join(";\n") + ";\n"
    }
}

async fn create(store: &PgStore, connection: &mut PgConnection, roles: &Roles) -> sqlx::Result<()> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    lock.execute(&mut *connection).await?;
    let sql = store.roles_sql(roles);
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes the roles, and makes this user one who may go on to own the table.
fn made(roles: &Roles) -> Vec<String> {
    let mut made: Vec<String> = roles
        .all()
        .into_iter()
        .map(|role| {
            let text = role.replace('"', "'");
            format!(
                "DO $do$ BEGIN \
                     IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {text}) THEN CREATE ROLE {role} NOLOGIN; END IF; \
                 EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $do$"
            )
        })
        .collect();
    let owner = roles.role("owner");
    let text = owner.replace('"', "'");
    made.push(format!(
        "DO $do$ BEGIN IF NOT pg_catalog.pg_has_role({text}, 'USAGE') THEN GRANT {owner} TO CURRENT_USER; END IF; END $do$"
    ));
    made.push(format!(
        "GRANT {} TO {}",
        roles.role("writer"),
        roles.role("retention")
    ));
    made
}

/// Gives everything to the owner: the table with its partitions, what is beside it, and the functions of its triggers.
fn owned(store: &PgStore, roles: &Roles) -> Vec<String> {
    let (schema, table) = store.name();
    let (schema, table) = (schema.as_str(), table.as_str());
    let owner = roles.role("owner");
    let books = books(store.name().1);
    let partitions = format!(
        "DO $do$ DECLARE part regclass; BEGIN \
             FOR part IN SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = '\"{schema}\".\"{table}\"'::regclass LOOP \
                 EXECUTE format('ALTER TABLE %s OWNER TO {owner}', part); \
             END LOOP; END $do$"
    );
    let mut owned = vec![
        format!(r#"GRANT USAGE, CREATE ON SCHEMA "{schema}" TO {owner}"#),
        format!(r#"ALTER TABLE "{schema}"."{table}" OWNER TO {owner}"#),
        partitions,
    ];
    for beside in [
        format!("{table}_retention"),
        format!("{table}_holds"),
        books,
    ] {
        owned.push(format!(
            r#"ALTER TABLE "{schema}"."{beside}" OWNER TO {owner}"#
        ));
    }
    for function in ["append_only", "holds_stay"] {
        owned.push(format!(
            r#"ALTER FUNCTION "{schema}"."{table}_{function}"() OWNER TO {owner}"#
        ));
    }
    owned
}

/// Gives the others what they need.
fn granted(store: &PgStore, roles: &Roles) -> Vec<String> {
    let (schema, table) = store.name();
    let (schema, table) = (schema.as_str(), table.as_str());
    let name = |suffix: &str| format!(r#""{schema}"."{table}{suffix}""#);
    let books = format!(r#""{schema}"."{}""#, books(store.name().1));
    let (trail, lease, holds) = (name(""), name("_retention"), name("_holds"));
    let (writer, reader, retention) = (
        roles.role("writer"),
        roles.role("reader"),
        roles.role("retention"),
    );
    let mut granted = vec![
        format!(r#"GRANT USAGE ON SCHEMA "{schema}" TO {writer}, {reader}, {retention}"#),
        format!("REVOKE ALL ON {trail}, {lease}, {holds}, {books} FROM PUBLIC"),
        format!("GRANT INSERT ({WRITTEN}) ON {trail} TO {writer}"),
        format!("GRANT SELECT ({COMPARED}), UPDATE ({COMPLETED}) ON {trail} TO {writer}"),
        format!("GRANT SELECT ON {books} TO {writer}, {reader}"),
        format!("GRANT SELECT ON {trail}, {lease}, {holds} TO {reader}"),
        format!("GRANT SELECT, DELETE ON {trail} TO {retention}"),
        format!("GRANT SELECT, UPDATE ({LEASED}) ON {lease} TO {retention}"),
        format!("GRANT SELECT ON {holds} TO {retention}"),
    ];
    if roles.row_security {
        let auditor = roles.role("auditor");
        granted.push(format!(r#"GRANT USAGE ON SCHEMA "{schema}" TO {auditor}"#));
        granted.push(format!(
            "GRANT SELECT ON {trail}, {lease}, {holds}, {books} TO {auditor}"
        ));
    }
    granted
}

/// Says which rows they may see. The owner sees all.
fn secured(store: &PgStore, roles: &Roles) -> Vec<String> {
    let (schema, table) = store.name();
    let (schema, table) = (schema.as_str(), table.as_str());
    let trail = format!(r#""{schema}"."{table}""#);
    let mut secured = vec![format!("ALTER TABLE {trail} ENABLE ROW LEVEL SECURITY")];
    for (name, command, role, rows) in POLICIES {
        let (role, rows) = (roles.role(role), rows.replace("{tenant}", TENANT));
        secured.push(format!(r#"DROP POLICY IF EXISTS "{name}" ON {trail}"#));
        secured.push(format!(
            r#"CREATE POLICY "{name}" ON {trail} FOR {command} TO {role} {rows}"#
        ));
    }
    secured
}

/// What each role does with which rows.
const POLICIES: [(&str, &str, &str, &str); 6] = [
    ("writer_inserts", "INSERT", "writer", "WITH CHECK (true)"),
    ("writer_compares", "SELECT", "writer", "USING (true)"),
    (
        "writer_completes",
        "UPDATE",
        "writer",
        "USING (true) WITH CHECK (true)",
    ),
    ("reader_reads", "SELECT", "reader", "USING ({tenant})"),
    ("auditor_reads", "SELECT", "auditor", "USING (true)"),
    ("retention_deletes", "DELETE", "retention", "USING (true)"),
];

const TENANT: &str =
    "tenant_id = nullif(pg_catalog.current_setting('tower_audit.tenant', true), '')";

/// What the lease is: all but the floor.
pub(super) const LEASED: &str =
    "token, holder, leased_until, scheduled_for, resume_at, dropping, drops_from, drops_until";

/// What completing a pending row compares.
pub(super) const COMPARED: &str = "id, created_at, outcome, reason, actor_type, actor_id, actor_name, auth_method, credential_id, on_behalf_of";
