//! What was found.

use std::fmt;

/// Something that was looked at, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What to do, unless nothing has to be done.
    pub to_do: Option<String>,
}

impl Finding {
    /// Returns a finding.
    #[must_use]
    pub fn new(check: Check, severity: Severity, found: impl Into<String>) -> Self {
        Self {
            check,
            severity,
            found: found.into(),
            to_do: None,
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn to_do(mut self, to_do: impl Into<String>) -> Self {
        self.to_do = Some(to_do.into());
        self
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Worth to know; nothing is lost by it now.
    Warning,
    /// Something has to be done: events are not written, not kept safe or not found, or soon will not be.
    Problem,
}

impl Severity {
    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The database answers, and is one that can be used.
    Connection,
    /// Its clock and that of this machine say the same time.
    Clock,
    /// The migrations were run.
    Migrations,
    /// Columns, constraints and functions are as the migrations make them.
    Table,
    /// So are the indexes, and they can be used.
    Indexes,
    /// What refuses to change the trail is there and on, on the table and on every partition.
    Triggers,
    /// Users and roles may do what they have to, and no more.
    Privileges,
    /// There is a partition for the rows of now and of the next time.
    Partitions,
    /// Pending rows are completed, or given up in time.
    Pending,
    /// What is old can be deleted, and nothing else.
    Retention,
    /// What waits on a disk.
    Spool,
    /// What the store refused.
    DeadLetters,
}

impl Check {
    /// Returns the words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Clock => "clock",
            Self::Migrations => "migrations",
            Self::Table => "table",
            Self::Indexes => "indexes",
            Self::Triggers => "triggers",
            Self::Privileges => "privileges",
            Self::Partitions => "partitions",
            Self::Pending => "pending rows",
            Self::Retention => "retention",
            Self::Spool => "spool",
            Self::DeadLetters => "dead letters",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn fine(&mut self, check: Check, found: impl Into<String>) {
        self.0.push(Finding::new(check, Severity::Fine, found));
    }

    pub(super) fn warning(
        &mut self,
        check: Check,
        found: impl Into<String>,
        to_do: impl Into<String>,
    ) {
        let finding = Finding::new(check, Severity::Warning, found);
        self.0.push(finding.to_do(to_do));
    }

    pub(super) fn problem(
        &mut self,
        check: Check,
        found: impl Into<String>,
        to_do: impl Into<String>,
    ) {
        let finding = Finding::new(check, Severity::Problem, found);
        self.0.push(finding.to_do(to_do));
    }

    /// Says that something could not be looked at.
    pub(super) fn unseen(&mut self, check: Check, error: &dyn std::error::Error) {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let cause = error.to_string();
            // Some say their cause themselves.
            if !why.ends_with(&cause) {
                why.push_str(": ");
                why.push_str(&cause);
            }
            source = error.source();
        }
        self.problem(
            check,
            format!("could not be looked at: {why}"),
            "run it as a user who may read the trail and its tables",
        );
    }

    /// Returns whether nothing was found about this that is not fine.
    pub(super) fn is_fine(&self, check: Check) -> bool {
        let about = |finding: &&Finding| finding.check == check;
        !self
            .0
            .iter()
            .filter(about)
            .any(|finding| finding.severity != Severity::Fine)
    }

    pub(super) fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.check);
        self.0
    }
}
