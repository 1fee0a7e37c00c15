//! The handle, and its settings.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tower_audit_core::{
    Actor,
    retention::{RetentionPolicy, RetentionReport},
};

use super::{RetentionError, run};
use crate::any::{AnyStore, with_store};

/// Deletes what is old from a trail. See the [module page](super).
#[derive(Clone, Debug)]
pub struct Retention {
    pub(super) store: AnyStore,
    pub(super) policy: RetentionPolicy,
    pub(super) settings: Settings,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// As many as the store deletes well at once, unless it is set.
    pub(super) batch: Option<u32>,
    pub(super) pause: Duration,
    pub(super) budget: Duration,
    pub(super) lease: Duration,
    pub(super) holder: String,
    pub(super) actor: Actor,
}

impl Retention {
    /// Returns a builder.
    pub fn builder(policy: RetentionPolicy) -> RetentionBuilder {
        RetentionBuilder {
            policy,
            settings: Settings {
                batch: None,
                pause: Duration::from_millis(10),
                budget: Duration::from_hours(1),
                lease: Duration::from_mins(1),
                holder: format!("process {}", std::process::id()),
                actor: Actor::system(),
            },
        }
    }

    /// Returns the policy.
    #[must_use]
    pub fn policy(&self) -> &RetentionPolicy {
        &self.policy
    }

    /// Deletes what is due.
    ///
    /// Dropping the future ends it after the statement that is running; what was deleted stays deleted, the event of the run
    /// stays pending, and the lease runs out by itself.
    ///
    /// # Errors
    ///
    /// Returns [`RetentionError::Busy`] if somebody else is at it, [`RetentionError::LeaseLost`] if this was away for too
    /// long, [`RetentionError::Hold`] if a hold cannot be read, and [`RetentionError::Store`] if the store refuses or cannot be
    /// reached.
    pub async fn run(&self) -> Result<RetentionReport, RetentionError> {
        with_store!(&self.store, store => run::now(store, self).await)
    }

    /// Deletes what is due, for this scheduled time: `None` if somebody has done so for this time or a later one. For whoever
    /// has a scheduler of their own; [`start`](Self::start) brings one.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run). Somebody may try again then.
    pub async fn run_for(
        &self,
        time: DateTime<Utc>,
    ) -> Result<Option<RetentionReport>, RetentionError> {
        with_store!(&self.store, store => run::scheduled(store, self, time).await)
    }

    /// Says what [`run`](Self::run) would delete now, and deletes nothing.
    ///
    /// It looks at every row that may be due, so it takes as long as the budget says at most.
    ///
    /// # Errors
    ///
    /// Returns [`RetentionError::Hold`] if a hold cannot be read, and [`RetentionError::Store`] if the store cannot be asked.
    pub async fn dry_run(&self) -> Result<RetentionReport, RetentionError> {
        with_store!(&self.store, store => run::dry(store, self).await)
    }
}

/// Makes a [`Retention`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RetentionBuilder {
    policy: RetentionPolicy,
    settings: Settings,
}

impl RetentionBuilder {
    /// Sets how many rows are looked at, and deleted if they are due, in one transaction: at least one. Defaults to 5,000 in Postgres and 2,000
    /// in SQLite, where writers wait as long as it takes.
    pub fn batch(mut self, rows: u32) -> Self {
        self.settings.batch = Some(rows.max(1));
        self
    }

    /// Sets how long to wait after a batch in which rows went. Defaults to 10 ms.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.settings.pause = pause;
        self
    }

    /// Sets for how long a run begins new batches. Defaults to an hour. The next run goes on where this one stopped.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.settings.budget = budget;
        self
    }

    /// Sets how long the lease is, at least a second: after that somebody else takes over from one that was killed.
    /// Defaults to a minute. It is renewed with each batch, and should be longer than one takes with its pause.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease.max(Duration::from_secs(1));
        self
    }

    /// Sets the name under which others see who is at it. Defaults to the id of the process.
    pub fn holder(mut self, name: impl Into<String>) -> Self {
        self.settings.holder = name.into();
        self
    }

    /// Sets who deletes, for the event of the run. Defaults to the system.
    pub fn actor(mut self, actor: Actor) -> Self {
        self.settings.actor = actor;
        self
    }

    /// Returns what deletes from this store.
    pub fn build(self, store: impl Into<AnyStore>) -> Retention {
        Retention {
            store: store.into(),
            policy: self.policy,
            settings: self.settings,
        }
    }
}
