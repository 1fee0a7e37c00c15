//! The API and the viewer.

mod access;
mod ai;
mod api;
mod changes;
mod export;
mod live;
mod patience;
mod readers;
mod site;
mod viewer;
