//! Who deletes: one at a time.
//!
//! **Invariant:** each transaction that deletes [renews](Lease::renew) the lease first. The row of the lease is locked from then on,
//! so nobody else gets it before that transaction is over.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tower_audit_core::StoreError;

use super::{Database, RetentionError};
use crate::query::{Arg, Sql};

/// The right to delete, for a while.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    token: i64,
    time: TimeDelta,
    /// When it was taken, by the clock of the database.
    pub(crate) taken_at: DateTime<Utc>,
    /// Where the run before stopped because its time was over.
    pub(crate) resume_at: Option<DateTime<Utc>>,
}

/// What came of asking for the lease.
#[derive(Debug)]
pub(super) enum Asked {
    Taken(Lease),
    /// Somebody has it.
    Busy {
        holder: String,
        until: DateTime<Utc>,
    },
    /// Somebody has run for this time already.
    Done,
}

impl Lease {
    /// Asks for the lease; for a run that is scheduled, only if nobody has run for that time.
    pub(super) async fn ask<D: Database>(
        database: &D,
        holder: &str,
        time: Duration,
        scheduled_for: Option<DateTime<Utc>>,
    ) -> Result<Asked, StoreError> {
        let (_, table) = database.table_and("_retention");
        let time = TimeDelta::from_std(time).unwrap_or(TimeDelta::hours(1));
        let mut tx = database.begin().await?;
        let now = now(database, &mut tx).await?;
        let scheduled = scheduled_for.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let mut take = Sql::new(format!("UPDATE {table} SET token = token + 1, holder = "));
        take.bind(Arg::Text(holder.to_owned()));
        take.push(", leased_until = ").bind(micros(now + time));
        take.push(" WHERE leased_until <= ").bind(micros(now));
        if scheduled_for.is_some() {
            take.push(" AND (scheduled_for IS NULL OR scheduled_for < ");
            take.bind(micros(scheduled)).push(")");
        }
        let resume_at = D::micros("resume_at");
        take.push(&format!(" RETURNING token, {resume_at}"));
        let asked = match database
            .numbers(&mut tx, take)
            .await?
            .first()
            .map(Vec::as_slice)
        {
            Some([Some(token), resume_at]) => Asked::Taken(Self {
                token: *token,
                time,
                taken_at: now,
                resume_at: resume_at.and_then(DateTime::from_timestamp_micros),
            }),
            _ => Self::refused(database, &mut tx, scheduled).await?,
        };
        database.commit(tx).await?;
        Ok(asked)
    }

    /// Says why somebody did not get it.
    async fn refused<D: Database>(
        database: &D,
        tx: &mut D::Tx,
        scheduled: DateTime<Utc>,
    ) -> Result<Asked, StoreError> {
        let (_, table) = database.table_and("_retention");
        let (until, done) = (D::micros("leased_until"), D::micros("scheduled_for"));
        let times = Sql::new(format!("SELECT {until}, {done} FROM {table}"));
        let times = database.numbers(tx, times).await?;
        let time = |column: usize| {
            let micros = times.first().and_then(|row| *row.get(column)?);
            micros.and_then(DateTime::from_timestamp_micros)
        };
        if time(1).is_some_and(|done| done >= scheduled) {
            return Ok(Asked::Done);
        }
        let holder = Sql::new(format!("SELECT holder FROM {table}"));
        Ok(Asked::Busy {
            holder: database.text(tx, holder).await?.unwrap_or_default(),
            until: time(0).unwrap_or_default(),
        })
    }

    /// Renews the lease, in a transaction that deletes.
    pub(crate) async fn renew<D: Database>(
        &self,
        database: &D,
        tx: &mut D::Tx,
    ) -> Result<(), RetentionError> {
        let (_, table) = database.table_and("_retention");
        let now = now(database, tx).await?;
        let mut renew = Sql::new(format!("UPDATE {table} SET leased_until = "));
        renew.bind(micros(now + self.time)).push(" WHERE token = ");
        renew.bind(Arg::Number(self.token)).push(" RETURNING token");
        if database.numbers(tx, renew).await?.is_empty() {
            return Err(RetentionError::LeaseLost);
        }
        Ok(())
    }

    /// Gives the lease back, with where the next run is to begin.
    pub(super) async fn release<D: Database>(
        &self,
        database: &D,
        resume_at: Option<DateTime<Utc>>,
        scheduled_for: Option<DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let (_, table) = database.table_and("_retention");
        let mut tx = database.begin().await?;
        let now = now(database, &mut tx).await?;
        let mut release = Sql::new(format!("UPDATE {table} SET leased_until = "));
        release.bind(micros(now)).push(", resume_at = ");
        match resume_at {
            Some(time) => release.bind(micros(time)),
            None => release.push("NULL"),
        };
        if let Some(time) = scheduled_for {
            release.push(", scheduled_for = ").bind(micros(time));
        }
        release
            .push(" WHERE token = ")
            .bind(Arg::Number(self.token));
        release.push(" RETURNING token");
        database.numbers(&mut tx, release).await?;
        database.commit(tx).await
    }
}

/// Asks the clock of the database.
pub(super) async fn now<D: Database>(
    database: &D,
    tx: &mut D::Tx,
) -> Result<DateTime<Utc>, StoreError> {
    let now = Sql::new(format!("SELECT {}", D::NOW_US));
    let rows = database.numbers(tx, now).await?;
    let micros = rows.first().and_then(|row| *row.first()?);
    micros
        .and_then(DateTime::from_timestamp_micros)
        .ok_or_else(|| StoreError::Unreadable("the database has no clock".into()))
}

fn micros(time: DateTime<Utc>) -> Arg {
    Arg::Time(time.timestamp_micros())
}
