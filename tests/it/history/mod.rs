//! The history of tables: what the triggers record, and what of it is found again.

mod as_of;
mod as_of_model;
mod baseline;
mod context;
mod drift;
mod example;
mod keys;
mod masking;
mod migrations;
mod others;
mod privileges;
mod reading;
mod revert;
mod room;
mod semantics;
mod support;
mod tracking;
