//! GraphQL: one endpoint, which answers 200 whatever happens. Each mutation is a row, named by what it does, and its
//! error is the outcome. Queries leave none.
//!
//! The name that the client gives its operation goes to the metadata: it may be anything, so it names no action.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_graphql::{
    Context, EmptySubscription, ErrorExtensions as _, ID, Object, Request, Response, Schema,
    SimpleObject, Value,
    parser::{parse_query, types::OperationType},
};
use axum::{Extension, Json, Router, routing::post};
use tower_audit::{AuditContext, AuditLayer, Outcome, Text, audited, call::AuditReason};

type Api = Schema<Query, Mutation, EmptySubscription>;

/// `POST /graphql`.
pub fn router(audit: AuditLayer) -> Router {
    let schema = Schema::build(Query, Mutation, EmptySubscription)
        .data(Projects::default())
        .finish();
    Router::new()
        .route("/graphql", post(graphql))
        .layer(Extension(schema))
        .layer(audit)
}

async fn graphql(
    Extension(schema): Extension<Api>,
    audit: AuditContext,
    Json(request): Json<Request>,
) -> Json<Response> {
    match operation(&request) {
        // What cannot be read is recorded: somebody may be looking for a way in.
        None | Some(OperationType::Mutation | OperationType::Subscription) => {
            audit.action("graphql.execute");
        }
        Some(OperationType::Query) => audit.skip(),
    }
    if let Some(name) = &request.operation_name {
        audit.metadata("operation", name.as_str());
    }
    let response = schema.execute(request).await;
    // What was refused before any mutation ran: it is answered 200 all the same.
    if response.data == Value::Null && response.is_err() {
        audit.outcome(Outcome::Failure);
        audit.reason("graphql_error");
    }
    Json(response)
}

/// Returns what kind of operation the request asks for, if it can be read.
fn operation(request: &Request) -> Option<OperationType> {
    let document = parse_query(&request.query).ok()?;
    let wanted = request.operation_name.as_deref();
    let mut operations = document.operations.iter();
    let found = operations.find(|(name, _)| match wanted {
        Some(wanted) => name.is_some_and(|name| name.as_str() == wanted),
        None => true,
    });
    found.map(|(_, operation)| operation.node.ty)
}

#[derive(Default)]
struct Projects(Mutex<BTreeMap<u64, String>>);

impl Projects {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A project.
#[derive(SimpleObject)]
struct Project {
    id: u64,
    name: String,
}

/// Why a mutation failed.
#[derive(Debug)]
enum Refusal {
    NoSuchProject,
    BadId,
}

impl AuditReason for Refusal {
    fn audit_reason(&self) -> Text {
        Text::from_static(match self {
            Self::NoSuchProject => "no_such_project",
            Self::BadId => "bad_id",
        })
    }
}

impl From<Refusal> for async_graphql::Error {
    fn from(refusal: Refusal) -> Self {
        let code = refusal.audit_reason();
        Self::new(code.as_str()).extend_with(|_, extensions| extensions.set("code", code.as_str()))
    }
}

struct Query;

#[Object]
impl Query {
    /// All projects.
    async fn projects(&self, cx: &Context<'_>) -> async_graphql::Result<Vec<Project>> {
        let projects = cx.data::<Projects>()?.lock();
        Ok(projects
            .iter()
            .map(|(id, name)| Project {
                id: *id,
                name: name.clone(),
            })
            .collect())
    }
}

struct Mutation;

#[Object]
impl Mutation {
    /// Creates a project.
    async fn create_project(
        &self,
        cx: &Context<'_>,
        name: String,
    ) -> async_graphql::Result<Project> {
        Ok(create(cx.data::<Projects>()?, name).await)
    }

    /// Deletes a project, and returns its name.
    async fn delete_project(&self, cx: &Context<'_>, id: ID) -> async_graphql::Result<String> {
        Ok(delete(cx.data::<Projects>()?, &id).await?)
    }
}

#[audited(action = "project.create", target = "project:{name}")]
async fn create(projects: &Projects, name: String) -> Project {
    let mut projects = projects.lock();
    let id = projects.last_key_value().map_or(1, |(last, _)| last + 1);
    projects.insert(id, name.clone());
    Project { id, name }
}

#[audited(action = "project.delete", target = "project:{id}")]
async fn delete(projects: &Projects, id: &str) -> Result<String, Refusal> {
    let id: u64 = id.parse().map_err(|_| Refusal::BadId)?;
    projects.lock().remove(&id).ok_or(Refusal::NoSuchProject)
}
