//! Which request a task is working on.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use super::Slot;

/// Which request a task is working on.
pub(crate) enum Current {
    Nobody,
    Request(Arc<Slot>),
    /// One that the policy ignores.
    Ignored,
}

thread_local! {
    static REQUEST: RefCell<Option<Arc<Slot>>> = const { RefCell::new(None) };
    /// Of the requests that are ignored this is all that is known.
    static IS_IGNORED: Cell<bool> = const { Cell::new(false) };
}

/// Returns what this task is working on: the innermost request.
pub(crate) fn get() -> Current {
    let request = REQUEST.try_with(|current| current.try_borrow().ok()?.clone());
    match request.ok().flatten() {
        Some(slot) => Current::Request(slot),
        None if is_ignored() => Current::Ignored,
        None => Current::Nobody,
    }
}

/// Returns whether this task is working on a request that the policy ignores.
pub(crate) fn is_ignored() -> bool {
    IS_IGNORED.try_with(Cell::get).unwrap_or(false)
}

/// Runs `f` with this request as the current one.
#[inline]
pub(crate) fn within<T>(slot: Arc<Slot>, f: impl FnOnce() -> T) -> T {
    let _restore = Restore(exchange(Some(slot)));
    f()
}

/// Runs `f` as a part of a request that the policy ignores.
#[inline]
pub(crate) fn ignoring<T>(f: impl FnOnce() -> T) -> T {
    // What is said of this one is not said of a recorded one around it.
    let _restore = Restore(exchange(None));
    let before = IS_IGNORED.try_with(|now| now.replace(true));
    let _restore_ignored = RestoreIgnored(before.unwrap_or(false));
    f()
}

/// Puts back what was current before, also when a panic unwinds.
struct Restore(Option<Arc<Slot>>);

impl Drop for Restore {
    fn drop(&mut self) {
        exchange(self.0.take());
    }
}

/// Makes this request the current one, and returns the one before it.
fn exchange(slot: Option<Arc<Slot>>) -> Option<Arc<Slot>> {
    // A thread that ends has none.
    REQUEST
        .try_with(|current| {
            Some(std::mem::replace(
                &mut *current.try_borrow_mut().ok()?,
                slot,
            ))
        })
        .ok()
        .flatten()
        .flatten()
}

struct RestoreIgnored(bool);

impl Drop for RestoreIgnored {
    fn drop(&mut self) {
        let _ = IS_IGNORED.try_with(|now| now.set(self.0));
    }
}
