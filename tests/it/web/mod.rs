//! The API and the viewer.

mod access;
mod api;
mod changes;
mod export;
mod live;
mod patience;
mod readers;
mod site;
mod viewer;
