//! The JSON of calls of models.

use axum::{
    Extension, Json,
    extract::{Path, RawQuery},
};

use super::{
    AskedDays,
    shown::{AiAnalytics, AiEventTrails, AiProjects, AiTrail, AiTrails},
};
use crate::{
    api::{Problems, event_id},
    params::Params,
    problem::{Facts, Problem},
    view::View,
};

/// The projects of which there were calls.
#[utoipa::path(
    get, path = "/ai/projects", tag = "ai",
    params(
        ("limit" = Option<u16>, Query, description = "How many projects at most, 50 by default", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "Projects after this one, which `next` of a page is"),
    ),
    responses((status = 200, body = AiProjects, description = "The projects, in their order"), Problems),
)]
pub(crate) async fn projects(
    Extension(view): Extension<View>,
    RawQuery(query): RawQuery,
) -> Result<Json<AiProjects>, Problem> {
    let params = Params::parse(query.as_deref(), &["limit", "after"])?;
    let size = params.limit(50)?;
    let projects = view.projects(params.get("after"), size).await?;
    let is_full = projects.len() == usize::from(size.events());
    Ok(Json(AiProjects {
        next: projects.last().filter(|_| is_full).cloned(),
        projects,
    }))
}

/// What the calls of a project add up to.
#[utoipa::path(
    get, path = "/ai/projects/{project}/analytics", tag = "ai",
    params(
        ("project" = String, Path, description = "The id of the project"),
        ("from" = Option<String>, Query, description = "The first day, that of 30 by default", format = Date),
        ("until" = Option<String>, Query, description = "The last day, today by default, in the time zone of the store", format = Date),
    ),
    responses(
        (status = 200, body = AiAnalytics, description = "The sums"),
        (status = 404, body = Facts, content_type = "application/problem+json", description = "There is no such project for you"),
        Problems,
    ),
)]
pub(crate) async fn analytics(
    Extension(view): Extension<View>,
    Path(project): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<AiAnalytics>, Problem> {
    let params = Params::parse(query.as_deref(), &["from", "until"])?;
    Ok(Json(
        view.analytics(&project, AskedDays::of(&params)?).await?,
    ))
}

/// The calls of a project.
#[utoipa::path(
    get, path = "/ai/projects/{project}/trails", tag = "ai",
    params(
        ("project" = String, Path, description = "The id of the project"),
        ("limit" = Option<u16>, Query, description = "How many calls at most, 50 by default", minimum = 1, maximum = 1000),
        ("older_than" = Option<String>, Query, description = "Calls before this position, which `older` of a page is"),
    ),
    responses(
        (status = 200, body = AiTrails, description = "The calls, newest first"),
        (status = 404, body = Facts, content_type = "application/problem+json", description = "There is no such project for you"),
        Problems,
    ),
)]
pub(crate) async fn trails(
    Extension(view): Extension<View>,
    Path(project): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<AiTrails>, Problem> {
    let params = Params::parse(query.as_deref(), &["limit", "older_than"])?;
    let hint = "take it from the page before, as it is";
    let older_than = params.parsed("older_than", hint)?;
    Ok(Json(
        view.trails(&project, older_than, params.limit(50)?).await?,
    ))
}

/// One call.
#[utoipa::path(
    get, path = "/ai/trails/{message_id}", tag = "ai",
    params(("message_id" = String, Path, description = "The message that the call answers")),
    responses(
        (status = 200, body = AiTrail, description = "The call"),
        (status = 404, body = Facts, content_type = "application/problem+json", description = "There is no such call, or not for you"),
        Problems,
    ),
)]
pub(crate) async fn trail(
    Extension(view): Extension<View>,
    Path(message_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<AiTrail>, Problem> {
    Params::parse(query.as_deref(), &[])?;
    let (trail, _) = view.trail(&message_id).await?;
    Ok(Json(trail))
}

/// The calls that were made in the request of an event.
#[utoipa::path(
    get, path = "/ai/events/{id}/trails", tag = "ai",
    params(
        ("id" = String, Path, description = "The id of the event", format = Uuid),
        ("limit" = Option<u16>, Query, description = "How many calls at most, 50 by default", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, body = AiEventTrails, description = "The calls of projects that you may see, oldest first"),
        Problems,
    ),
)]
pub(crate) async fn event_trails(
    Extension(view): Extension<View>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<AiEventTrails>, Problem> {
    let params = Params::parse(query.as_deref(), &["limit"])?;
    let trails = view
        .trails_of_event(event_id(&id)?, params.limit(50)?)
        .await?;
    Ok(Json(trails))
}
