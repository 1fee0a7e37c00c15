//! AI trails.

mod contract;
mod memory;
mod support;
