//! The history and its settings.

use std::{fmt, sync::Arc};

use sqlx::PgPool;

use crate::{
    MaskKey,
    names::{IdentifierError, Names},
};

/// The history of tables in a Postgres database: tracks them, and reads what happened to their rows. Cheap to clone.
///
/// See the [crate page](crate) for an example. Needs PostgreSQL 13 or later.
#[derive(Clone)]
pub struct History {
    pub(crate) pool: PgPool,
    pub(crate) names: Arc<Names>,
    pub(crate) mask_key: Option<MaskKey>,
    pub(crate) owner: Option<Arc<str>>,
}

impl History {
    /// Returns the history in `control_plane.row_changes`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            names: Arc::new(Names::known()),
            mask_key: None,
            owner: None,
        }
    }

    /// Returns a builder.
    pub fn builder(pool: PgPool) -> HistoryBuilder {
        HistoryBuilder {
            schema: "control_plane".to_owned(),
            table: "row_changes".to_owned(),
            history: Self::new(pool),
        }
    }

    /// Returns the pool.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field(
                "table",
                &format_args!("{}.{}", self.names.schema(), self.names.table()),
            )
            .field("mask_key", &self.mask_key)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// Configures a [`History`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct HistoryBuilder {
    schema: String,
    table: String,
    history: History,
}

impl HistoryBuilder {
    /// Sets the schema of the history. Defaults to `control_plane`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets the table of the history. Defaults to `row_changes`.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// Sets the key of hashed columns. Defaults to none: [`Track::hash`](crate::Track::hash) is refused then.
    pub fn mask_key(mut self, key: MaskKey) -> Self {
        self.history.mask_key = Some(key);
        self
    }

    /// Sets the role that owns what is made: the triggers write as this role. The user of the pool has to be a member of it. Defaults
    /// to the user of the pool.
    pub fn owner(mut self, role: impl Into<String>) -> Self {
        self.history.owner = Some(role.into().into());
        self
    }

    /// Returns the history.
    ///
    /// # Errors
    ///
    /// Returns an error if the schema or the table is no identifier.
    pub fn build(self) -> Result<History, IdentifierError> {
        Ok(History {
            names: Arc::new(Names::new(&self.schema, &self.table)?),
            ..self.history
        })
    }
}
