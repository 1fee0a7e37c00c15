//! Work outside of requests.

use std::sync::OnceLock;

use tower_audit_core::{Actor, Auditor};

/// Work outside of requests: a job, a consumer of a queue, a command. What is audited in it goes to its auditor, by
/// its actor.
///
/// ```
/// use tower_audit::{Actor, Auditor, MemoryStore, call::Job};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let auditor = Auditor::new(MemoryStore::new());
/// # let handle = async |_: u64| {};
/// // A message that somebody else wrote:
/// Job::new(&auditor).actor(Actor::user("alice").tenant("acme")).run(handle(7)).await;
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a job does nothing until `run`"]
pub struct Job {
    auditor: Auditor,
    actor: Actor,
}

tokio::task_local! {
    static CURRENT: Job;
}

static INSTALLED: OnceLock<Auditor> = OnceLock::new();

impl Job {
    /// Returns a job of [`Actor::system`].
    pub fn new(auditor: &Auditor) -> Self {
        Self {
            auditor: auditor.clone(),
            actor: Actor::system(),
        }
    }

    /// Sets in whose name the job runs. Defaults to [`Actor::system`].
    pub fn actor(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Runs the work. Dropping the future that this returns drops it.
    pub async fn run<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// Returns the job that this task is working on.
    pub(super) fn running() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Returns the job that this task is working on, or one of the auditor that was installed.
    pub(super) fn current() -> Option<Self> {
        let installed = || INSTALLED.get().map(Self::new);
        Self::running().or_else(installed)
    }

    pub(super) fn into_parts(self) -> (Auditor, Actor) {
        (self.auditor, self.actor)
    }
}

/// Sets where audited functions are recorded that run neither in a request nor in a [`Job`], for the whole
/// process.
///
/// ```
/// use tower_audit::{Auditor, MemoryStore, call};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let auditor = Auditor::new(MemoryStore::new());
/// assert!(call::install(&auditor).is_ok());
/// assert!(call::install(&auditor).is_err());
/// # }
/// ```
///
/// # Errors
///
/// Returns an error if one was installed before, which stays.
pub fn install(auditor: &Auditor) -> Result<(), AlreadyInstalled> {
    INSTALLED
        .set(auditor.clone())
        .map_err(|_| AlreadyInstalled(()))
}

/// An auditor was installed before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an auditor was installed before, and stays: install one when the process starts")]
pub struct AlreadyInstalled(());
