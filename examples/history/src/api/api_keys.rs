//! API keys. Their table refuses whoever does not say for whom they change it.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_audit::{AuditContext, history::Begin as _, privacy::hashed};
use uuid::Uuid;

use super::Service;
use crate::{auth::AuthUser, failure::Failure};

#[derive(Deserialize)]
pub(super) struct NewApiKey {
    name: String,
}

pub(super) async fn create(
    user: AuthUser,
    audit: AuditContext,
    State(Service { pool, auditor, .. }): State<Service>,
    Json(new): Json<NewApiKey>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let (id, secret) = (format!("key_{}", Uuid::now_v7().simple()), new_secret());
    audit.target_id(&id);
    let mut tx = auditor.begin(&pool, &audit).await?;
    sqlx::query(INSERT)
        .bind(&id)
        .bind(&user.0)
        .bind(&new.name)
        .bind(hashed(&secret).as_str())
        .bind(&secret)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    let created = json!({ "id": id, "secret": secret });
    Ok((StatusCode::CREATED, Json(created)))
}

/// Gives a key a new secret, and returns it this once.
pub(super) async fn rotate(
    user: AuthUser,
    audit: AuditContext,
    State(Service { pool, auditor, .. }): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let secret = new_secret();
    let mut tx = auditor.begin(&pool, &audit).await?;
    let done = sqlx::query(ROTATE)
        .bind(&id)
        .bind(&user.0)
        .bind(hashed(&secret).as_str())
        .bind(&secret)
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() == 0 {
        audit.reason("no_such_key");
        return Err(StatusCode::NOT_FOUND.into());
    }
    tx.commit().await?;
    Ok(Json(json!({ "id": id, "secret": secret })))
}

/// Returns a secret of 244 random bits.
fn new_secret() -> String {
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    format!("sk_{}{}", first.simple(), second.simple())
}

const INSERT: &str = "\
INSERT INTO apikey (id, user_id, name, key_hash, secret, expires_at)
VALUES ($1, $2, $3, $4, $5, now() + interval '90 days')";

const ROTATE: &str = "\
UPDATE apikey SET key_hash = $3, secret = $4, expires_at = now() + interval '90 days', updated_at = now()
WHERE id = $1 AND user_id = $2";
