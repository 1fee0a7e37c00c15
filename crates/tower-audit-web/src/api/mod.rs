//! The JSON API.

mod changes;
mod counts;
mod events;
mod openapi;
mod stream;

pub(crate) use changes::{__path_changes, changes};
pub(crate) use counts::{
    __path_count, __path_histogram, __path_top, buckets, count, histogram, top,
};
pub(crate) use events::{
    __path_event, __path_events, __path_related, event, event_id, events, related,
};
pub(crate) use openapi::{Problems, openapi};
pub(crate) use stream::{__path_stream, stream};
