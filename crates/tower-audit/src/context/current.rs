//! Which request a task is working on.

use std::{cell::RefCell, sync::Arc};

use super::Slot;

/// Which request a task is working on: the innermost one.
#[derive(Clone)]
pub(crate) enum Current {
    Nobody,
    Request(Arc<Slot>),
    /// One that the policy ignores.
    Ignored,
}

thread_local! {
    static CURRENT: RefCell<Current> = const { RefCell::new(Current::Nobody) };
}

impl Current {
    /// Returns what this task is working on.
    pub(crate) fn get() -> Self {
        let current = CURRENT.try_with(|current| current.try_borrow().ok().map(|now| now.clone()));
        current.ok().flatten().unwrap_or(Self::Nobody)
    }

    pub(crate) fn is_ignored() -> bool {
        let is_ignored =
            |now: &RefCell<Self>| matches!(now.try_borrow().as_deref(), Ok(Self::Ignored));
        CURRENT.try_with(is_ignored).unwrap_or(false)
    }

    /// Runs `f` with this as the current one.
    #[inline]
    pub(crate) fn scope<T>(self, f: impl FnOnce() -> T) -> T {
        let _restore = Restore(exchange(self));
        f()
    }
}

/// Puts back what was current before, also when a panic unwinds.
struct Restore(Current);

impl Drop for Restore {
    fn drop(&mut self) {
        exchange(std::mem::replace(&mut self.0, Current::Nobody));
    }
}

/// Makes this the current one, and returns the one before it.
fn exchange(now: Current) -> Current {
    // A thread that ends has none.
    let before = CURRENT.try_with(|current| {
        let mut current = current.try_borrow_mut().ok()?;
        Some(std::mem::replace(&mut *current, now))
    });
    before.ok().flatten().unwrap_or(Current::Nobody)
}
