//! The texts of a request that its record may need.

use std::borrow::Cow;

use http::{HeaderMap, Request};
use tower_audit_core::Text;

use crate::route::{original_uri, template};

/// The texts of a request that its record may need, in one piece of memory: they become text only if the request is
/// recorded, and what the server read the head into is free again when the handler lets go of it.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    /// Where the path, the query, the headers and the template end.
    ends: [u32; PARTS],
    is_there: [bool; PARTS],
}

impl Texts {
    #[inline]
    pub(super) fn of<B>(req: &Request<B>) -> Self {
        let uri = original_uri(req.uri(), req.extensions());
        let [user_agent, request_id, traceparent] = headers(req.headers());
        let texts: [Option<Cow<'_, [u8]>>; PARTS] = [
            Some(Cow::Borrowed(uri.path().as_bytes())),
            uri.query().map(|query| Cow::Borrowed(query.as_bytes())),
            user_agent.map(short),
            request_id.map(short),
            traceparent.map(short),
            template(req.extensions()).map(|template| Cow::Borrowed(template.as_bytes())),
        ];
        let length = texts.iter().flatten().map(|text| text.len()).sum();
        let mut all = Self {
            bytes: Vec::with_capacity(length),
            ..Self::default()
        };
        for (part, text) in texts.iter().enumerate() {
            all.set(part, text.as_deref());
        }
        all
    }

    /// Sets the template of the route, if that is not known yet.
    pub(super) fn set_template(&mut self, template: &str) {
        self.set(TEMPLATE, Some(template.as_bytes()));
    }

    /// Sets a part, of which those before it are set.
    fn set(&mut self, part: usize, text: Option<&[u8]>) {
        self.is_there[part] = text.is_some();
        self.bytes.extend_from_slice(text.unwrap_or_default());
        // No server takes a head of 4 GiB.
        self.ends[part] = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
    }

    /// Takes over the texts of another request, into memory in which there are none.
    pub(super) fn copy(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.ends = other.ends;
        self.is_there = other.is_there;
    }

    /// Forgets the texts, and keeps the memory, unless that is much.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(LIGHT);
        self.is_there = [false; PARTS];
    }

    /// Returns how many bytes they take beside the value itself.
    pub(super) fn heap_size(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns whether they may wait in the queue: what is long is cut before it enters the queue.
    pub(crate) fn are_light(&self) -> bool {
        self.bytes.len() <= LIGHT
    }

    pub(crate) fn path(&self) -> &str {
        self.text(0).unwrap_or_default()
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.text(1)
    }

    pub(crate) fn template(&self) -> Option<&str> {
        self.text(TEMPLATE)
    }

    pub(super) fn has_template(&self) -> bool {
        self.is_there[TEMPLATE]
    }

    pub(super) fn user_agent(&self) -> Option<Text> {
        self.part(2).map(header_text)
    }

    pub(super) fn has_request_id(&self) -> bool {
        self.is_there[3]
    }

    pub(super) fn request_id(&self) -> Option<Text> {
        self.part(3).map(header_text)
    }

    pub(super) fn traceparent(&self) -> Option<&str> {
        self.text(4)
    }

    fn text(&self, part: usize) -> Option<&str> {
        std::str::from_utf8(self.part(part)?).ok()
    }

    fn part(&self, part: usize) -> Option<&[u8]> {
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        let (start, end) = (
            usize::try_from(start).ok()?,
            usize::try_from(self.ends[part]).ok()?,
        );
        self.bytes.get(start..end).filter(|_| self.is_there[part])
    }
}

/// Returns the headers that have a column, the first line of each. To look at all of them once is quicker than to
/// look each of them up.
fn headers(headers: &HeaderMap) -> [Option<&[u8]>; 3] {
    let mut found = [None; 3];
    for (name, value) in headers {
        let place = match name.as_str() {
            "user-agent" => &mut found[0],
            X_REQUEST_ID => &mut found[1],
            "traceparent" => &mut found[2],
            _ => continue,
        };
        place.get_or_insert(value.as_bytes());
    }
    found
}

/// Returns the text of a header as it is kept.
pub(super) fn header_text(value: &[u8]) -> Text {
    match std::str::from_utf8(value) {
        Ok(text) => Text::capped(text, MAX_HEADER),
        Err(_) => Text::capped(&String::from_utf8_lossy(value), MAX_HEADER),
    }
}

/// Cuts a long header now, so that nobody can fill the queue with it.
fn short(value: &[u8]) -> Cow<'_, [u8]> {
    if value.len() <= MAX_HEADER {
        return Cow::Borrowed(value);
    }
    Cow::Owned(header_text(value).as_str().as_bytes().to_vec())
}

pub(super) fn request_id(headers: &HeaderMap) -> Option<Text> {
    let value = headers.get(X_REQUEST_ID)?;
    Some(header_text(value.as_bytes()))
}

/// How many bytes are light.
const LIGHT: usize = 2_048;

/// The path, the query, three headers, and the template.
const PARTS: usize = 6;
const TEMPLATE: usize = 5;

/// What the columns keep of a header, in bytes.
const MAX_HEADER: usize = 512;
const X_REQUEST_ID: &str = "x-request-id";
