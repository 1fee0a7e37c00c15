//! What the request itself says, kept as it came: it becomes text only if the request is recorded.

use std::{net::IpAddr, time::Instant};

use chrono::{DateTime, SubsecRound, Utc};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header::USER_AGENT};

use crate::{
    client::Client,
    peer::peer,
    policy::Subject,
    route::{Template, original_uri},
};

/// What the request itself says.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(super) arrived_at: DateTime<Utc>,
    pub(super) started: Instant,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) template: Option<Template>,
    pub(super) peer: Option<IpAddr>,
    pub(super) client: Option<IpAddr>,
    pub(super) user_agent: Option<HeaderValue>,
    pub(super) request_id: Option<HeaderValue>,
    pub(super) traceparent: Option<HeaderValue>,
}

impl Facts {
    pub(crate) fn of<B>(req: &Request<B>, client: &Client) -> Self {
        let peer = peer(req.extensions());
        Self {
            arrived_at: Utc::now().trunc_subsecs(6),
            started: Instant::now(),
            method: req.method().clone(),
            uri: original_uri(req.uri(), req.extensions()),
            template: Template::of(req.extensions()),
            peer,
            client: client.address(peer, req.headers()),
            user_agent: req.headers().get(USER_AGENT).cloned(),
            request_id: request_id(req.headers()),
            traceparent: req.headers().get(TRACEPARENT).cloned(),
        }
    }

    pub(crate) fn arrived_at(&self) -> DateTime<Utc> {
        self.arrived_at
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// Returns the address of the client, by the rule of the layer.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.client
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(crate) fn template(&self) -> Option<&Template> {
        self.template.as_ref()
    }

    /// Returns what a policy may know before the handler has run.
    pub(crate) fn subject(&self) -> Subject<'_> {
        let subject = Subject::arriving(self.method.clone(), self.path());
        match &self.template {
            Some(template) => subject.route(template.as_str()),
            None => subject,
        }
    }

    /// Names the route where no router did.
    pub(crate) fn set_template(&mut self, template: Template) {
        self.template = Some(template);
    }
}

pub(super) fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(X_REQUEST_ID).cloned()
}

const X_REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";
