//! Users.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_audit::{AuditContext, history::Begin as _};

use super::Service;
use crate::{auth::AuthUser, failure::Failure};

#[derive(Deserialize)]
pub(super) struct NewUser {
    name: String,
    email: String,
}

/// Signs the caller up.
pub(super) async fn create(
    user: AuthUser,
    audit: AuditContext,
    State(Service { pool, auditor, .. }): State<Service>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    audit.target_id(&user.0);
    let mut tx = auditor.begin(&pool, &audit).await?;
    sqlx::query(INSERT)
        .bind(&user.0)
        .bind(&new.name)
        .bind(&new.email)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": user.0 }))))
}

const INSERT: &str = r#"INSERT INTO "user" (id, name, email) VALUES ($1, $2, $3)"#;
