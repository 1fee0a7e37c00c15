//! The API and the viewer.

mod access;
mod api;
mod export;
mod live;
mod site;
mod viewer;
