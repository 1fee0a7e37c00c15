//! The OpenAPI document.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{OriginalUri, State},
};
use utoipa::{
    IntoResponses, OpenApi, ToSchema as _,
    openapi::{Content, Ref, RefOr, Response, Server, response::ResponseBuilder},
};

use super::{
    __path_changes, __path_count, __path_event, __path_events, __path_histogram, __path_related,
    __path_stream, __path_top,
};
use crate::{
    export::{__path_export, Compression, Format},
    problem::Facts,
    web::AuditWeb,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Audit trail",
        description = "Who did what to which resource, from where, and how did it end. A search is a line of terms, \
            `key:value`, all of which must hold: `actor:alice action:project.* -outcome:success ip:10.0.0.0/8 \
            created:2026-01-01..2026-02-01 meta.plan:pro`."
    ),
    paths(events, event, related, stream, histogram, top, count, export),
    components(schemas(Facts, Format, Compression))
)]
struct Api;

/// What is there only where somebody says where changes are read from.
#[derive(OpenApi)]
#[openapi(paths(changes))]
struct ChangesApi;

/// What any route may answer instead.
pub(crate) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = |what: &str| -> RefOr<Response> {
            let schema = RefOr::Ref(Ref::from_schema_name(Facts::name()));
            let content = Content::new(Some(schema));
            ResponseBuilder::new()
                .description(what)
                .content("application/problem+json", content)
                .build()
                .into()
        };
        BTreeMap::from([
            (
                "400".to_owned(),
                problem("A parameter is wrong: which, where, and what to write instead"),
            ),
            ("401".to_owned(), problem("Nobody knows who asks")),
            ("403".to_owned(), problem("Who asks may not see this")),
            ("503".to_owned(), problem("The trail cannot be read now")),
        ])
    }
}

/// Returns the document, for where the routes are nested.
pub(crate) async fn openapi(
    State(web): State<AuditWeb>,
    OriginalUri(uri): OriginalUri,
) -> Json<utoipa::openapi::OpenApi> {
    let mut api = Api::openapi();
    if web.changes.is_some() {
        api.merge(ChangesApi::openapi());
    }
    #[cfg(feature = "ai")]
    if web.ai.is_some() {
        api.merge(crate::ai::AiApi::openapi());
    }
    api.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let nested = uri.path().strip_suffix("/openapi.json").unwrap_or_default();
    let base = web.settings.base.as_deref().unwrap_or(nested);
    let base = if base.is_empty() { "/" } else { base };
    api.servers = Some(vec![Server::new(base)]);
    Json(api)
}
