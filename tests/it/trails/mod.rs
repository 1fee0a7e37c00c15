//! AI trails.

mod contract;
mod memory;
mod postgres;
mod support;
