//! Remembers the beginning of what passes.

use std::{
    fmt,
    io::IoSlice,
    sync::{Mutex, PoisonError},
};

use bytes::Buf;

/// Remembers the beginning of a body that passes, up to a limit.
#[derive(Debug)]
pub(crate) struct Tap {
    limit: usize,
    /// What the body said of its length, before anything passed.
    pub(super) length: Option<u64>,
    flow: Mutex<Flow>,
}

/// What has passed so far.
#[derive(Default)]
pub(crate) struct Flow {
    pub(super) bytes: Vec<u8>,
    pub(super) seen: u64,
    pub(super) is_over: bool,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What has passed is not redacted yet.
        f.debug_struct("Flow")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Tap {
    pub(crate) fn new(limit: usize, length: Option<u64>) -> Self {
        Self {
            limit,
            length,
            flow: Mutex::default(),
        }
    }

    /// Looks at what passes without taking it.
    pub(crate) fn pass(&self, data: &impl Buf) {
        let mut flow = self.flow.lock().unwrap_or_else(PoisonError::into_inner);
        let is_gapless = flow.seen == flow.bytes.len() as u64;
        flow.seen = flow.seen.saturating_add(data.remaining() as u64);
        if !is_gapless {
            return;
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = data.chunks_vectored(&mut slices);
        for slice in &slices[..count] {
            let room = self.limit.saturating_sub(flow.bytes.len());
            flow.bytes
                .extend_from_slice(&slice[..slice.len().min(room)]);
        }
    }

    /// Notes that nothing more will come.
    pub(crate) fn end(&self) {
        let mut flow = self.flow.lock().unwrap_or_else(PoisonError::into_inner);
        flow.is_over = true;
    }

    /// Returns what has passed, and forgets it.
    pub(super) fn take(&self) -> Flow {
        let mut flow = self.flow.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut flow)
    }
}

/// Data in more pieces than that, which no server makes, counts as truncated behind them.
const MAX_SLICES: usize = 16;
