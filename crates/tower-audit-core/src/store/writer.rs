//! The trait of whoever keeps events.

use chrono::{DateTime, Utc};

use super::{StoreError, StoreStatus};
use crate::event::AuditEvent;

/// Appends records durably.
///
/// Generic over the record, so that other trails can ride on the same
/// [delivery engine](crate::delivery); for audit events it is `EventWriter<AuditEvent>`, which is
/// the default.
///
/// A store of one's own is given to [`Auditor::new`](crate::Auditor::new); the
/// [module page](crate::store) has one that prints.
///
/// Implementations must be idempotent by the id of the record: a batch whose fate nobody knows is
/// written again. They must also bear being dropped at any await: a call that takes longer than
/// [`write_timeout`](crate::delivery::DeliverySettings::write_timeout) is dropped and repeated.
///
/// They must not block their thread: the worker could not end at the deadline of a shutdown. A call
/// that panics counts as [`StoreError::Unavailable`] and is repeated, so a record that makes the
/// writer panic each time holds up its batch: return [`StoreError::Rejected`] instead.
pub trait EventWriter<R = AuditEvent>: Send + Sync + 'static {
    /// Writes the whole batch or none of it. The batch is never empty.
    ///
    /// A record whose id is there already is left as it is, with one exception: an event that
    /// [completes](AuditEvent::is_completion) another one takes the place of one of its id that is
    /// pending, or that [`reap`](Self::reap) has given up.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] or [`StoreError::NotReady`] if repeating the call may
    /// help, and [`StoreError::Rejected`] only if the data itself is at fault: the engine then
    /// looks for the bad record, writes the others and drops that one.
    fn append(&self, batch: &[R]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Checks that [`append`](Self::append) could work now, without writing, and says how the store is. One with nothing to
    /// say returns the default.
    ///
    /// # Errors
    ///
    /// Returns what `append` would return.
    fn check(&self) -> impl Future<Output = Result<StoreStatus, StoreError>> + Send;

    /// Turns records that are pending since before `created_before` into unknown ones, of which the
    /// reason is `never_completed`, and returns how many: as many as are done well in one go. It is called again until none is left.
    ///
    /// It is called only where pending records are made, from every replica of a service; one of them
    /// at a time is enough. A store that keeps no state of its own, as one that prints, has nothing to
    /// do and returns 0.
    ///
    /// # Errors
    ///
    /// Returns what `append` would return.
    fn reap(
        &self,
        created_before: DateTime<Utc>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
