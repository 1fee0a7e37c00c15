//! What the project's own commands stand on; the tests use it too.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

pub mod command;
pub mod debian;
pub mod postgres;
pub mod rows;
