//! The command `tower-audit`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tower_audit_cli::main()
}
