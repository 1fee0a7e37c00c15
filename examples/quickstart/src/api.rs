//! The projects API.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    handler::Handler,
    http::StatusCode,
    middleware::from_fn,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tower_audit::{Actor, AuditContext, AuditLayer, audited, identify};
use tower_audit_web::AuditWeb;

use crate::auth::{AuthUser, authenticate};

#[derive(Clone)]
struct App {
    projects: Arc<Mutex<BTreeMap<u64, Project>>>,
}

#[derive(Clone, Serialize)]
struct Project {
    id: String,
    name: String,
    owner: String,
}

#[derive(Deserialize)]
struct NewProject {
    name: String,
}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

/// The routes, with the audit layer around all of them, and the trail itself to look at.
pub(crate) fn router(audit: AuditLayer, web: AuditWeb) -> Router {
    let delete = delete_project.layer(audited("project.delete").target("project", "id"));
    Router::new()
        .route("/projects", post(create_project))
        .route("/projects/{id}", get(read_project).delete(delete))
        .route(
            "/login",
            post(login.layer(audited("user.login").target_kind("user"))),
        )
        .nest("/audit", web.router())
        .layer(identify::<AuthUser>(|user| {
            Actor::user(&user.0).auth_method("bearer")
        }))
        .layer(from_fn(authenticate))
        .layer(audit)
        .with_state(App {
            projects: Arc::default(),
        })
}

async fn create_project(
    user: AuthUser,
    audit: AuditContext,
    State(app): State<App>,
    Json(new): Json<NewProject>,
) -> (StatusCode, Json<Project>) {
    let mut projects = app.projects.lock().unwrap_or_else(PoisonError::into_inner);
    let id = projects.last_key_value().map_or(1, |(last, _)| last + 1);
    let project = Project {
        id: id.to_string(),
        name: new.name,
        owner: user.0,
    };
    projects.insert(id, project.clone());
    audit.target_id(id);
    (StatusCode::CREATED, Json(project))
}

async fn read_project(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Project>, StatusCode> {
    let projects = app.projects.lock().unwrap_or_else(PoisonError::into_inner);
    let project = id.parse().ok().and_then(|id: u64| projects.get(&id));
    project.cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn delete_project(
    user: AuthUser,
    audit: AuditContext,
    State(app): State<App>,
    Path(id): Path<String>,
) -> StatusCode {
    let mut projects = app.projects.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((id, project)) = id
        .parse()
        .ok()
        .and_then(|id: u64| Some((id, projects.get(&id)?)))
    else {
        return StatusCode::NOT_FOUND;
    };
    if project.owner != user.0 {
        audit.reason("not_owner");
        return StatusCode::FORBIDDEN;
    }
    audit.metadata("name", project.name.as_str());
    projects.remove(&id);
    StatusCode::NO_CONTENT
}

async fn login(
    audit: AuditContext,
    Json(login): Json<Login>,
) -> Result<Json<serde_json::Value>, StatusCode> {
    // Which account was tried; who tried it is known only if the password is right.
    audit.target_id(&login.user);
    if login.password != "demo" {
        audit.reason("wrong_password");
        return Err(StatusCode::UNAUTHORIZED);
    }
    audit.actor(Actor::user(&login.user).auth_method("password"));
    Ok(Json(
        serde_json::json!({ "token": format!("demo-{}", login.user) }),
    ))
}
