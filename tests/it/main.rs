//! Everything that takes more than one crate, in one binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actors;
mod annotations;
mod bodies;
mod call;
mod capture;
mod catalog;
mod client;
mod command;
mod contract;
mod corpus;
mod examples;
mod faults;
mod hostile;
mod ignored;
mod killed;
mod migrations;
mod modes;
mod one_row;
mod outage;
mod partitions;
mod placement;
mod plans;
mod policy;
mod privacy;
mod quickstart;
mod readme;
mod record_in;
mod retention;
mod reuse;
mod roles;
mod support;
mod testing;
mod types;
mod upgrade;
mod web;
