//! What is wrong, and what to do about it.

use std::path::{Path, PathBuf};

use serde_json::json;
use tower_audit_core::{
    dead_letters,
    spool::{self, ProcessFolder, ProcessState},
};
use tower_audit_sqlx::{
    AnyStore, Roles,
    doctor::{Check, Doctor, Finding, Severity},
};

use crate::{
    Done,
    output::{Output, causes},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Examine {
    /// Look into this folder, too, where a service keeps what its database did not take
    #[arg(long, value_name = "FOLDER")]
    spool: Option<PathBuf>,

    /// What the names of the roles begin with
    #[arg(long, default_value = "tower_audit", value_name = "NAME")]
    role_prefix: String,

    /// Say only what is not fine
    #[arg(long, short)]
    quiet: bool,
}

/// Looks at everything; returns whether something has to be done.
pub(super) async fn run(
    store: anyhow::Result<AnyStore>,
    args: &Examine,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let mut findings = match store {
        Ok(store) => {
            let roles = Roles::new().prefix(&args.role_prefix)?;
            Doctor::new(store).roles(roles).examine().await
        }
        // That it cannot be reached is what the doctor is asked about.
        Err(error) => vec![
            Finding::new(Check::Connection, Severity::Problem, causes(&error)).to_do(
                "see that the database runs, that it can be reached from here, and that the URL and the user are right",
            ),
        ],
    };
    if let Some(folder) = &args.spool {
        findings.extend(of_spool(folder));
    }
    let worst = findings.iter().map(|finding| finding.severity).max();
    if args.quiet {
        findings.retain(|finding| finding.severity != Severity::Fine);
    }
    print(&findings, output)?;
    Ok(match worst {
        Some(Severity::Problem) => Done::FoundSomething,
        _ => Done::Well,
    })
}

fn print(findings: &[Finding], output: &mut Output) -> anyhow::Result<()> {
    if output.is_json {
        for finding in findings {
            output.json(&json!({
                "check": finding.check.as_str(),
                "severity": finding.severity.as_str(),
                "found": finding.found,
                "to_do": finding.to_do,
            }))?;
        }
        return Ok(());
    }
    for finding in findings {
        output.line(format!(
            "{:<8} {:<12} {}",
            finding.severity.as_str(),
            finding.check.as_str(),
            finding.found
        ))?;
        if let Some(to_do) = &finding.to_do {
            output.line(format!("{:21} -> {to_do}", ""))?;
        }
    }
    let count = |severity| {
        let of = findings
            .iter()
            .filter(|finding| finding.severity == severity);
        of.count()
    };
    let of = |severity, word: &str| match count(severity) {
        1 => format!("1 {word}"),
        some => format!("{some} {word}s"),
    };
    output.line(format!(
        "{}, {}",
        of(Severity::Problem, "problem"),
        of(Severity::Warning, "warning")
    ))
}

/// Looks at what waits on the disk.
fn of_spool(folder: &Path) -> Vec<Finding> {
    let there = match spool::inspect(folder) {
        Ok(there) => there,
        Err(error) => {
            let error = anyhow::Error::from(error);
            return vec![
                Finding::new(
                    Check::Spool,
                    Severity::Problem,
                    format!("could not be looked at: {}", causes(&error)),
                )
                .to_do("give the folder that the service spools to, as a user who may read it"),
            ];
        }
    };
    let mut findings = vec![of_segments(&there.processes)];
    if !there.quarantine.is_empty() {
        let said = format!("{} files have damaged records", there.quarantine.len());
        findings.push(Finding::new(Check::Spool, Severity::Warning, said).to_do(
            "their good records were read; look at the disk, and at the files in `quarantine`",
        ));
    }
    findings.push(of_letters(there.dead_letters.as_deref()));
    findings
}

/// Looks at what waits, and for whom.
fn of_segments(processes: &[ProcessFolder]) -> Finding {
    let (mut waiting, mut of_ended) = (0, 0);
    for process in processes {
        waiting += process.segments.len();
        if process.state != ProcessState::Living {
            of_ended += process.segments.len();
        }
    }
    let finding = |severity, said: String| Finding::new(Check::Spool, severity, said);
    if of_ended > 0 {
        let said =
            format!("{of_ended} files of events wait that a process left behind when it ended");
        finding(Severity::Problem, said).to_do(
            "start the service with this folder, which writes them, or run `tower-audit spool replay`",
        )
    } else if waiting > 0 {
        let said = format!("{waiting} files of events wait; their process lives");
        finding(Severity::Warning, said)
            .to_do("it writes them once the database takes them: see what keeps it from that")
    } else {
        finding(Severity::Fine, "nothing waits".to_owned())
    }
}

/// Looks for events that the store refused.
fn of_letters(path: Option<&Path>) -> Finding {
    let fine = || Finding::new(Check::DeadLetters, Severity::Fine, "none");
    let Some(path) = path else {
        return fine();
    };
    match dead_letters::read(path) {
        Ok(letters) => match letters.count() {
            0 => fine(),
            some => Finding::new(
                Check::DeadLetters,
                Severity::Problem,
                format!("the database refused {some} events"),
            )
            .to_do("`tower-audit spool dead-letters` says which and why, and with --retry writes them once that is mended"),
        },
        Err(error) => Finding::new(
            Check::DeadLetters,
            Severity::Warning,
            format!("could not be looked at: {error}"),
        )
        .to_do("run it as a user who may read the folder"),
    }
}
