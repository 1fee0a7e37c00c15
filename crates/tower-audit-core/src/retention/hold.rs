//! What is not to go, whatever the policy says.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::search::Filter;

/// A legal hold: events that pass its filter stay, whatever the policy says, until it is released.
///
/// It is kept in the database, beside the trail, so that whoever deletes knows of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Hold {
    /// The name that it is released by.
    pub name: String,
    /// What stays.
    #[serde(serialize_with = "as_text")]
    pub filter: Filter,
    /// Why, such as the number of a case.
    pub reason: String,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// Who placed it: for Postgres the user of the database.
    pub placed_by: Option<String>,
}

impl Hold {
    /// Returns a hold, for whoever keeps them.
    #[must_use]
    pub fn new(name: String, filter: Filter, reason: String, placed_at: DateTime<Utc>) -> Self {
        Self {
            name,
            filter,
            reason,
            placed_at,
            placed_by: None,
        }
    }
}

fn as_text<S: serde::Serializer>(filter: &Filter, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(filter)
}
