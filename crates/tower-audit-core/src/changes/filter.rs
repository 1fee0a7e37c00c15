//! Which changes somebody asks for.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::TableName;
use crate::event::EventId;

/// Which changes somebody asks for. What is not set does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "it does nothing until a reader is asked with it"]
pub struct ChangeFilter {
    table: Option<TableName>,
    key: Option<Value>,
    event_id: Option<EventId>,
    request_id: Option<String>,
    actor_id: Option<String>,
    tenant_id: Option<String>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl ChangeFilter {
    /// Returns the filter that everything passes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the changes of a table.
    pub fn table(mut self, table: TableName) -> Self {
        self.table = Some(table);
        self
    }

    /// Asks for the changes of one row: a JSON object of the columns of its key. A row whose key was changed is found by the key that
    /// it had at that time, and by the one that it got.
    pub fn row(mut self, table: TableName, key: Value) -> Self {
        self.key = Some(key);
        self.table(table)
    }

    /// Asks for the changes that belong to an audit event.
    pub fn event(mut self, id: EventId) -> Self {
        self.event_id = Some(id);
        self
    }

    /// Asks for the changes of a request.
    pub fn request(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Asks for the changes that were made on behalf of an actor.
    pub fn actor(mut self, id: impl Into<String>) -> Self {
        self.actor_id = Some(id.into());
        self
    }

    /// Asks for the changes of a tenant.
    pub fn tenant(mut self, id: impl Into<String>) -> Self {
        self.tenant_id = Some(id.into());
        self
    }

    /// Asks for the changes from this moment on.
    pub fn since(mut self, time: DateTime<Utc>) -> Self {
        self.since = Some(time);
        self
    }

    /// Asks for the changes before this moment.
    pub fn until(mut self, time: DateTime<Utc>) -> Self {
        self.until = Some(time);
        self
    }

    /// Returns the table.
    #[must_use]
    pub fn table_name(&self) -> Option<&TableName> {
        self.table.as_ref()
    }

    /// Returns the key of the row.
    #[must_use]
    pub fn key(&self) -> Option<&Value> {
        self.key.as_ref()
    }

    /// Returns the audit event.
    #[must_use]
    pub fn event_id(&self) -> Option<EventId> {
        self.event_id
    }

    /// Returns the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Returns the actor.
    #[must_use]
    pub fn actor_id(&self) -> Option<&str> {
        self.actor_id.as_deref()
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant_id.as_deref()
    }

    /// Returns from when on, and until before when.
    #[must_use]
    pub fn times(&self) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        (self.since, self.until)
    }
}
