//! AI trails.

mod call;
mod contract;
mod example;
mod faults;
mod memory;
mod model;
mod postgres;
mod rollout;
mod sqlite;
mod support;
