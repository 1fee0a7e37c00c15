//! What was seen of a race.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, Row as _, postgres::PgRow};

/// What a race is judged by. All but the faults is in the order of its time.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// From the start of the first one to the last moment that counts.
    pub(super) race: Span,
    pub(super) takes: Vec<Take>,
    pub(super) deletions: Vec<Deletion>,
    pub(super) samples: Vec<Sample>,
    pub(super) faults: Vec<Fault>,
}

/// A time between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
}

impl Span {
    pub(super) fn length(self) -> TimeDelta {
        self.until - self.from
    }
}

/// Somebody took the lease, and committed it.
#[derive(Clone, Debug)]
pub(super) struct Take {
    pub(super) at: DateTime<Utc>,
    /// The process, by the name that its connections have.
    pub(super) child: String,
    pub(super) token: i64,
    /// The process, by the name that it wrote into the row.
    pub(super) holder: String,
    /// Until when somebody else had it.
    pub(super) lease_before: DateTime<Utc>,
}

/// A statement that deleted, and was committed.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub(super) at: DateTime<Utc>,
    /// The process of the server.
    pub(super) pid: i32,
    pub(super) xid: String,
    pub(super) child: String,
    /// The one in the row of the lease, as the transaction saw it.
    pub(super) token: i64,
    pub(super) rows: i64,
}

/// A look at the row of the lease.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// After what was seen.
    pub(super) at: DateTime<Utc>,
    pub(super) token: i64,
    pub(super) holder: String,
    pub(super) leased_until: DateTime<Utc>,
}

/// What was done to a process.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// When it was done, and the process did nothing any more.
    pub(super) at: DateTime<Utc>,
    pub(super) child: String,
    pub(super) kind: FaultKind,
}

/// How it was struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// For good.
    Killed,
    /// For longer than the lease, and then it went on.
    Stopped {
        until: DateTime<Utc>,
        /// It was in a transaction that others waited for.
        held_others_up: bool,
    },
}

impl FaultKind {
    /// Returns whether others had to wait until this was over.
    pub(super) fn held_others_up(self) -> bool {
        match self {
            Self::Killed => false,
            Self::Stopped { held_others_up, .. } => held_others_up,
        }
    }
}

/// Returns the name of a contender, of which this is one of many processes.
pub(super) fn contender_of(child: &str) -> &str {
    child.rsplit_once('.').map_or(child, |(name, _)| name)
}

impl<'r> FromRow<'r, PgRow> for Take {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            at: row.try_get("at")?,
            child: row.try_get("child")?,
            token: row.try_get("token")?,
            holder: row.try_get("holder")?,
            lease_before: row.try_get("lease_before")?,
        })
    }
}

impl<'r> FromRow<'r, PgRow> for Deletion {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            at: row.try_get("at")?,
            pid: row.try_get("pid")?,
            xid: row.try_get("xid")?,
            child: row.try_get("child")?,
            token: row.try_get("token")?,
            rows: row.try_get("deleted")?,
        })
    }
}

impl<'r> FromRow<'r, PgRow> for Sample {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            at: row.try_get("at")?,
            token: row.try_get("token")?,
            holder: row.try_get("holder")?,
            leased_until: row.try_get("leased_until")?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a moment of the race, in milliseconds from its start.
    pub(in super::super) fn at(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    /// Returns a race in which nothing was seen.
    pub(in super::super) fn race(millis: i64) -> Seen {
        Seen {
            race: Span {
                from: at(0),
                until: at(millis),
            },
            takes: Vec::new(),
            deletions: Vec::new(),
            samples: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(in super::super) fn take(token: i64, millis: i64, child: &str) -> Take {
        Take {
            at: at(millis),
            child: child.to_owned(),
            token,
            holder: child.to_owned(),
            lease_before: at(0),
        }
    }

    pub(in super::super) fn deletion(token: i64, millis: i64, child: &str) -> Deletion {
        Deletion {
            at: at(millis),
            pid: 1,
            xid: "7".to_owned(),
            child: child.to_owned(),
            token,
            rows: 7,
        }
    }

    pub(in super::super) fn lease_until(millis: i64, token: i64, until: i64) -> Sample {
        Sample {
            at: at(millis),
            token,
            holder: String::new(),
            leased_until: at(until),
        }
    }

    pub(in super::super) fn killed(millis: i64, child: &str) -> Fault {
        Fault {
            at: at(millis),
            child: child.to_owned(),
            kind: FaultKind::Killed,
        }
    }

    pub(in super::super) fn stopped(
        millis: i64,
        child: &str,
        until: i64,
        held_others_up: bool,
    ) -> Fault {
        Fault {
            at: at(millis),
            child: child.to_owned(),
            kind: FaultKind::Stopped {
                until: at(until),
                held_others_up,
            },
        }
    }

    #[test]
    fn a_process_is_one_of_its_contender() {
        assert_eq!(contender_of("replica-1.12"), "replica-1");
    }
}
