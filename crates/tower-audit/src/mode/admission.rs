//! What has to happen before a handler may run.

use std::pin::Pin;

use tower_audit_core::{
    AuditEvent, Overflow,
    delivery::{Kept, NotKept, Permit},
};

use super::{Mode, Refused};
use crate::context::AuditContext;

/// What was promised for the record of a request so far.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    pub(crate) mode: Mode,
    /// Room in the queue for the end of the request.
    pub(crate) permit: Option<Permit<AuditEvent>>,
    /// A pending row was handed over, which the end of the request completes.
    pub(crate) is_intended: bool,
    pub(crate) refused: Option<NotKept>,
}

/// Waits until the handler may run.
pub(crate) type Admitting = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

/// Does what has to happen in this mode before the handler may run.
pub(crate) fn admit(context: AuditContext, mode: Mode) -> Admitting {
    Box::pin(async move {
        let result = match mode {
            Mode::Background => reserve(&context).await,
            Mode::Durable => prepare(&context, mode).await,
            Mode::Strict => intend(&context).await,
        };
        result.map_err(|reason| {
            context.slot().shared.auditor.note_refused(reason);
            context.slot().admission().refused = Some(reason);
            Refused::NotKept(reason)
        })
    })
}

/// Reserves room, as the policy for a full queue says.
async fn reserve(context: &AuditContext) -> Result<(), NotKept> {
    let auditor = &context.slot().shared.auditor;
    let permit = auditor.reserve(TYPICAL_EVENT).await;
    if permit.is_none() && auditor.overflow() == Overflow::Reject {
        return Err(NotKept::Full);
    }
    context.slot().admission().permit = permit;
    Ok(())
}

/// Makes sure that somebody could keep the record, and that there is room for it.
async fn prepare(context: &AuditContext, mode: Mode) -> Result<(), NotKept> {
    let slot = context.slot();
    slot.shared.auditor.can_keep(mode == Mode::Strict)?;
    if slot.admission().permit.is_none() {
        let permit = slot.shared.auditor.reserve(TYPICAL_EVENT).await;
        slot.admission().permit = Some(permit.ok_or(NotKept::Full)?);
    }
    slot.admission().mode = mode;
    Ok(())
}

/// Commits the pending row.
async fn intend(context: &AuditContext) -> Result<(), NotKept> {
    prepare(context, Mode::Strict).await?;
    let slot = context.slot();
    let auditor = &slot.shared.auditor;
    slot.shared.reap_pending();
    let permit = auditor.reserve(TYPICAL_EVENT).await.ok_or(NotKept::Full)?;
    let pending = context.pending_event();
    // From here on it may be there, whatever the answer is.
    slot.admission().is_intended = true;
    match auditor.record_reserved_durable(permit, pending).await? {
        Kept::Written => Ok(()),
        // A handler that begins has a row in the store, where everybody can see it.
        _ => Err(NotKept::OnlySpooled),
    }
}

/// How many bytes are reserved for an event that does not exist yet.
const TYPICAL_EVENT: usize = 2_048;
