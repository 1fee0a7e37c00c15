//! Why a request fails: a status for the client, the cause for the log.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sqlx::error::ErrorKind;
use tower_audit::history::HistoryError;

/// Why a request fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client can do something about it.
    Status(StatusCode),
    /// The database refused or could not be reached.
    Database(sqlx::Error),
    /// The history could not be read.
    History(HistoryError),
}

impl From<StatusCode> for Failure {
    fn from(status: StatusCode) -> Self {
        Self::Status(status)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match refused(&error) {
            Some(status) => Self::Status(status),
            None => Self::Database(error),
        }
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let cause = match self {
            Self::Status(status) => return status.into_response(),
            Self::Database(error) => anyhow::Error::from(error),
            Self::History(error) => anyhow::Error::from(error),
        };
        tracing::error!("a request failed: {cause:#}");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

/// Returns the status for what a constraint does not allow.
fn refused(error: &sqlx::Error) -> Option<StatusCode> {
    match error.as_database_error()?.kind() {
        ErrorKind::UniqueViolation => Some(StatusCode::CONFLICT),
        // A job of somebody who never signed up, or a status that there is not.
        ErrorKind::ForeignKeyViolation | ErrorKind::CheckViolation => {
            Some(StatusCode::UNPROCESSABLE_ENTITY)
        }
        _ => None,
    }
}
