//! Jobs and their endpoints.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower_audit::{
    AuditContext,
    changes::Columns,
    history::{AsOf, AuditedTransaction, Begin as _},
};

use super::Service;
use crate::{auth::AuthUser, failure::Failure, tracking::table};

#[derive(Deserialize)]
pub(super) struct NewJob {
    name: String,
    schedule: String,
    #[serde(default)]
    endpoints: Vec<NewEndpoint>,
}

#[derive(Deserialize)]
struct NewEndpoint {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct JobChange {
    schedule: Option<String>,
    status: Option<String>,
}

pub(super) async fn create(
    user: AuthUser,
    audit: AuditContext,
    State(Service { pool, auditor, .. }): State<Service>,
    Json(new): Json<NewJob>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let mut tx = auditor.begin(&pool, &audit).await?;
    let id: i64 = sqlx::query_scalar(INSERT)
        .bind(&user.0)
        .bind(&new.name)
        .bind(&new.schedule)
        .fetch_one(&mut *tx)
        .await?;
    audit.target_id(id);
    for endpoint in new.endpoints {
        add(&mut tx, id, endpoint).await?;
    }
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

/// Adds an endpoint. It takes no connection that nobody gave a context.
async fn add(tx: &mut AuditedTransaction, job: i64, endpoint: NewEndpoint) -> sqlx::Result<()> {
    sqlx::query(INSERT_ENDPOINT)
        .bind(job)
        .bind(endpoint.url)
        .bind(endpoint.method.unwrap_or_else(|| "POST".to_owned()))
        .bind(Value::Object(endpoint.headers))
        .bind(endpoint.body)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn change(
    user: AuthUser,
    audit: AuditContext,
    State(Service { pool, auditor, .. }): State<Service>,
    Path(id): Path<i64>,
    Json(change): Json<JobChange>,
) -> Result<StatusCode, Failure> {
    let mut tx = auditor.begin(&pool, &audit).await?;
    let done = sqlx::query(UPDATE)
        .bind(id)
        .bind(&user.0)
        .bind(change.schedule)
        .bind(change.status)
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() == 0 {
        audit.reason("no_such_job");
        return Err(StatusCode::NOT_FOUND.into());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a job. The foreign key takes its endpoints along, and the history has them as deleted by the same request.
pub(super) async fn delete(
    user: AuthUser,
    audit: AuditContext,
    State(Service { pool, auditor, .. }): State<Service>,
    Path(id): Path<i64>,
) -> Result<StatusCode, Failure> {
    let mut tx = auditor.begin(&pool, &audit).await?;
    let done = sqlx::query(DELETE)
        .bind(id)
        .bind(&user.0)
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() == 0 {
        audit.reason("no_such_job");
        return Err(StatusCode::NOT_FOUND.into());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns what a job was at a moment, even if it is gone.
pub(super) async fn as_of(
    user: AuthUser,
    State(Service { history, .. }): State<Service>,
    Path((id, time)): Path<(i64, DateTime<Utc>)>,
) -> Result<Json<Columns>, Failure> {
    let key = Columns::from_iter([("id".to_owned(), Value::from(id))]);
    let is_own = |job: &Columns| job.get("user_id").is_some_and(|owner| *owner == user.0);
    match history.as_of(&table("jobs"), &key, time).await? {
        AsOf::Row(job) if is_own(&job) => Ok(Json(job)),
        // There was none, nobody knows any more, or it was somebody else's: a caller cannot tell them apart.
        _ => Err(StatusCode::NOT_FOUND.into()),
    }
}

const INSERT: &str = "INSERT INTO jobs (user_id, name, schedule) VALUES ($1, $2, $3) RETURNING id";

const INSERT_ENDPOINT: &str =
    "INSERT INTO job_endpoints (job_id, url, method, headers, body) VALUES ($1, $2, $3, $4, $5)";

const UPDATE: &str = "\
UPDATE jobs SET schedule = coalesce($3, schedule), status = coalesce($4, status), updated_at = now()
WHERE id = $1 AND user_id = $2";

const DELETE: &str = "DELETE FROM jobs WHERE id = $1 AND user_id = $2";
