//! The rows that an event changed.

use axum::{
    Extension, Json,
    extract::{Path, RawQuery},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::events::event_id;
use crate::{
    api::openapi::Problems,
    change::Change,
    params::Params,
    problem::{Facts, Problem},
    view::{ShownChanges, View},
};

/// Some changes of rows, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangePage {
    changes: Vec<Change>,
    /// What to give as `older_than` for the page after this one; null if there are no older changes.
    older: Option<String>,
}

impl From<ShownChanges> for ChangePage {
    fn from(ShownChanges { changes, older }: ShownChanges) -> Self {
        Self {
            changes,
            older: older.map(|cursor| cursor.to_string()),
        }
    }
}

/// Which rows of the app's own tables an event changed.
#[utoipa::path(
    get, path = "/events/{id}/changes", tag = "events",
    params(
        ("id" = String, Path, description = "The id of the event", format = Uuid),
        ("limit" = Option<u16>, Query, description = "How many changes at most, 50 by default", minimum = 1, maximum = 1000),
        ("older_than" = Option<String>, Query, description = "Changes before this position, which `older` of a page is", pattern = "^-?[0-9]{1,19}_[0-9a-f]{32}$"),
    ),
    responses(
        (status = 200, body = ChangePage, description = "The changes, newest first"),
        (status = 404, body = Facts, content_type = "application/problem+json", description = "There is no such event, or not for you"),
        Problems,
    ),
)]
pub(crate) async fn changes(
    Extension(view): Extension<View>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<ChangePage>, Problem> {
    let params = Params::parse(query.as_deref(), &["limit", "older_than"])?;
    let hint = "take it from the page before, as it is";
    let older_than = params.parsed("older_than", hint)?;
    let changes = view
        .changes(event_id(&id)?, older_than, params.limit(50)?)
        .await?;
    Ok(Json(changes.into()))
}
