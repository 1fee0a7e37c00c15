//! What the request itself says.

use std::{
    net::IpAddr,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use http::{Method, Request};

use super::{clock::time_of_day, texts::Texts};
use crate::{
    client::Client,
    peer::peer,
    policy::{Policy, Subject},
};

/// What the request itself says.
#[derive(Debug)]
pub(crate) struct Facts {
    arrived_at: SystemTime,
    started: Instant,
    pub(super) method: Method,
    pub(super) texts: Texts,
    pub(super) peer: Option<IpAddr>,
    pub(super) client: Option<IpAddr>,
}

impl Facts {
    #[inline]
    pub(crate) fn of<B>(req: &Request<B>, client: &Client) -> Self {
        let peer = peer(req.extensions());
        let started = Instant::now();
        Self {
            arrived_at: time_of_day(started),
            started,
            method: req.method().clone(),
            texts: Texts::of(req),
            peer,
            client: client.address(peer, req.headers()),
        }
    }

    /// Takes over those of another request, into memory in which there are none.
    pub(super) fn copy(&mut self, other: &Self) {
        self.texts.copy(&other.texts);
        self.arrived_at = other.arrived_at;
        self.started = other.started;
        self.method.clone_from(&other.method);
        self.peer = other.peer;
        self.client = other.client;
    }

    /// Forgets the request, and keeps the memory.
    pub(super) fn forget(&mut self) {
        self.texts.forget();
    }

    /// Returns how long ago it came.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn arrived_at(&self) -> DateTime<Utc> {
        let since = self.arrived_at.duration_since(SystemTime::UNIX_EPOCH);
        let micros = since.map_or(0, |since| since.as_micros());
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
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
        self.texts.path()
    }

    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    pub(crate) fn template(&self) -> Option<&str> {
        self.texts.template()
    }

    pub(crate) fn has_template(&self) -> bool {
        self.texts.has_template()
    }

    /// Returns what this policy may know before the handler has run.
    pub(crate) fn subject(&self, policy: &Policy) -> Subject<'_> {
        if !policy.has_rules() {
            // Nothing asks for the rest.
            return Subject::arriving(self.method.clone(), "");
        }
        let subject = Subject::arriving(self.method.clone(), self.path());
        match self.template() {
            Some(template) => subject.route(template),
            None => subject,
        }
    }

    /// Names the route where no router did.
    pub(crate) fn set_template(&mut self, template: &str) {
        self.texts.set_template(template);
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            arrived_at: SystemTime::UNIX_EPOCH,
            started: Instant::now(),
            method: Method::GET,
            texts: Texts::default(),
            peer: None,
            client: None,
        }
    }
}
