//! The command `tower-audit`, for the tests to run.

use std::process::ExitCode;

fn main() -> ExitCode {
    tower_audit_cli::main()
}
