//! What has to happen before a handler may run.

use std::{pin::Pin, sync::Arc};

use tower_audit_core::{
    AuditEvent, Auditor, Overflow,
    delivery::{Kept, NotKept, Permit},
};

use super::{Mode, Refused};
use crate::context::Slot;

/// What was promised for the record of a request so far.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    pub(crate) mode: Mode,
    /// Room in the queue for the end of the request.
    pub(crate) permit: Option<Permit<AuditEvent>>,
    /// A pending row was handed over, which the end of the request completes.
    pub(crate) is_intended: bool,
    /// Room was asked for, and is not asked for again.
    pub(crate) was_room_asked_for: bool,
    pub(crate) refused: Option<NotKept>,
}

/// Waits until the handler may run.
pub(crate) type Admitting = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

/// Does what has to happen in this mode before the handler may run.
pub(crate) fn admit(slot: Arc<Slot>, mode: Mode) -> Admitting {
    Box::pin(async move {
        let result = match mode {
            Mode::Background => reserve(&slot).await,
            Mode::Durable => prepare(&slot).await,
            Mode::Strict => intend(&slot).await,
        };
        result.map_err(|reason| {
            slot.shared.auditor.note_refused(reason);
            slot.admission().refused = Some(reason);
            Refused::NotKept(reason)
        })
    })
}

/// Reserves room, as the policy for a full queue says.
async fn reserve(slot: &Slot) -> Result<(), NotKept> {
    let auditor = &slot.shared.auditor;
    slot.admission().was_room_asked_for = true;
    let permit = auditor.reserve(size(slot)).await;
    if permit.is_none() && auditor.overflow() == Overflow::Reject {
        return Err(NotKept::Full);
    }
    slot.admission().permit = permit;
    Ok(())
}

/// Makes sure that somebody could keep the record, and that there is room for it.
async fn prepare(slot: &Slot) -> Result<(), NotKept> {
    slot.shared.auditor.can_keep(false)?;
    if slot.admission().permit.is_none() {
        let permit = slot.shared.auditor.reserve(size(slot)).await;
        slot.admission().permit = Some(permit.ok_or(NotKept::Full)?);
    }
    slot.admission().mode = Mode::Durable;
    Ok(())
}

/// Commits the pending row, with room for its end.
async fn intend(slot: &Slot) -> Result<(), NotKept> {
    let auditor = &slot.shared.auditor;
    auditor.can_keep(true)?;
    // Nobody holds room for one while he waits for room for two.
    drop(slot.admission().permit.take());
    let permits = auditor.reserve_all(size(slot)).await;
    let [permit, for_the_end] = permits.ok_or(NotKept::Full)?;
    slot.shared.reap_pending();
    let pending = slot.pending_event();
    {
        let mut admission = slot.admission();
        admission.permit = Some(for_the_end);
        admission.mode = Mode::Strict;
        // From here on the row may be there, whatever the answer is.
        admission.is_intended = true;
    }
    match auditor.record_reserved_durable(permit, pending).await {
        Ok(Kept::Written) => Ok(()),
        // A handler that begins has a row in the store, where everybody can see it.
        Ok(_) => Err(NotKept::OnlySpooled),
        Err(reason) => {
            // There is none that would have to be completed.
            slot.admission().is_intended = reason != NotKept::Rejected;
            Err(reason)
        }
    }
}

/// Returns whether a strict request could ever be admitted.
pub(crate) fn is_possible(auditor: &Auditor) -> bool {
    auditor.could_hold(2, TYPICAL_EVENT)
}

/// Panics if no strict request could ever be admitted.
#[track_caller]
pub(crate) fn assert_possible(auditor: &Auditor) {
    assert!(
        is_possible(auditor),
        "a request in Strict mode needs room for two events in the queue: give it a capacity of at least 2 \
         events and {} bytes",
        2 * TYPICAL_EVENT
    );
}

/// Returns how many bytes are reserved for the event of a request: more if its bodies may be captured, unless the
/// queue could never hold that.
fn size(slot: &Slot) -> usize {
    let bodies = [slot.plan.has_request_body, slot.plan.has_response_body];
    let bodies = bodies.into_iter().filter(|has_body| *has_body).count();
    let size = TYPICAL_EVENT + bodies * slot.shared.body_limit;
    if slot.shared.auditor.could_hold(2, size) {
        size
    } else {
        TYPICAL_EVENT
    }
}

/// How many bytes are reserved for an event that does not exist yet.
const TYPICAL_EVENT: usize = 2_048;
