//! What the command does to a trail, as an event of it: pending first, so that what was killed leaves a trace, too.

use std::{fmt, slice, time::Instant};

use anyhow::Context as _;
use tower_audit_core::{
    Actor, AuditEvent, AuditEventBuilder, EventId, EventReader as _, EventWriter as _, Metadata,
    Outcome, StoreError, Target,
};
use tower_audit_sqlx::AnyStore;

use crate::output::{Output, causes, is_broken_pipe};

/// Somebody has stopped it.
#[derive(Debug)]
pub(super) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted before the end: a file or an object of that name is not there")
    }
}

impl std::error::Error for Interrupted {}

/// Something that goes on, and is in the trail.
pub(super) struct Record {
    id: EventId,
    event: AuditEventBuilder,
    begun: Instant,
}

impl Record {
    /// Records that something begins; `None`, with a word about it, if this user cannot have it recorded.
    pub(super) async fn begin(
        store: &AnyStore,
        action: &'static str,
        (metadata, captured): (Metadata, Option<Metadata>),
        output: &mut Output,
    ) -> anyhow::Result<Option<Self>> {
        let mut event = AuditEvent::builder(Actor::system(), action, Target::new("audit_log", ""))
            .all_metadata(metadata);
        if let Some(captured) = captured {
            event = event.captured(captured);
        }
        let pending = event.clone().outcome(Outcome::Pending).build();
        let event = event.id(pending.id()).created_at(pending.created_at());
        match store.append(slice::from_ref(&pending)).await {
            // A rule or a trigger of somebody else may have dropped it.
            Ok(()) if matches!(store.get(pending.id()).await, Ok(None)) => {
                output.aside(format!(
                    "this is not recorded in the trail as `{action}`: the table drops the event; `tower-audit doctor` looks why"
                ))?;
                Ok(None)
            }
            Ok(()) => Ok(Some(Self {
                id: pending.id(),
                event,
                begun: Instant::now(),
            })),
            // Whoever may read can do so in other ways, too.
            Err(error @ (StoreError::NotReady { .. } | StoreError::Rejected(_))) => {
                let why = causes(&error.into());
                output.aside(format!(
                    "this is not recorded in the trail as `{action}`: {why}"
                ))?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the id of its event.
    pub(super) fn id(&self) -> EventId {
        self.id
    }

    /// Records how it ended, and returns that.
    pub(super) async fn end(
        self,
        store: &AnyStore,
        done: anyhow::Result<()>,
        counts: &[(&str, u64)],
    ) -> anyhow::Result<()> {
        let outcome = match &done {
            Ok(()) => Outcome::Success,
            // Whoever reads has seen enough.
            Err(error) if is_broken_pipe(error) || error.is::<Interrupted>() => Outcome::Aborted,
            Err(_) => Outcome::Failure,
        };
        let counted = counts.iter().fold(self.event, |event, (name, count)| {
            event.metadata(*name, *count)
        });
        let ended = counted.outcome(outcome).duration(self.begun.elapsed());
        let recorded = store.append(&[ended.build().completing()]).await;
        done?;
        recorded.context("it is done; that it was could not be recorded")
    }
}
