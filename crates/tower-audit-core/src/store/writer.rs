//! The trait of whoever keeps events.

use super::StoreError;
use crate::event::AuditEvent;

/// Appends records durably.
///
/// Generic over the record, so that other trails can ride on the same
/// [delivery engine](crate::delivery); for audit events it is `EventWriter<AuditEvent>`, which is
/// the default.
///
/// Implementations must be idempotent by the id of the record: a batch whose fate nobody knows is
/// written again. They must also bear being dropped at any await: a call that takes longer than
/// [`write_timeout`](crate::delivery::DeliverySettings::write_timeout) is dropped and repeated.
pub trait EventWriter<R = AuditEvent>: Send + Sync + 'static {
    /// Writes the whole batch or none of it. The batch is never empty.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] or [`StoreError::NotReady`] if repeating the call may
    /// help, and [`StoreError::Rejected`] only if the data itself is at fault: the engine then
    /// looks for the bad record, writes the others and drops that one.
    fn append(&self, batch: &[R]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Checks that [`append`](Self::append) could work now, without writing.
    ///
    /// # Errors
    ///
    /// Returns what `append` would return.
    fn check(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
