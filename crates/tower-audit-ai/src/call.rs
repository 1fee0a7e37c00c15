//! A call that one handler begins and ends.

use std::{fmt, thread};

use chrono::Utc;

use crate::{
    Cost, MessageId, Usage,
    record::Outcome,
    trails::{Recorder, Update},
};

/// A call that is on its way. If it is dropped before it was ended, because the handler returned early, panicked or was dropped with its
/// client, it is recorded as failed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use tower_audit_ai::{MemoryTrails, Trail, TrailStatus, Trails};
///
/// let trails = Trails::new(MemoryTrails::new());
/// let call = trails.start(Trail::placeholder("msg_1", "project-7", "large-2026")?);
/// drop(call); // the client is gone
/// trails.flush().await;
/// let trail = trails.get(&"msg_1".parse()?).await?.ok_or("it is not there")?;
/// assert_eq!(trail.status, TrailStatus::Failed);
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[must_use = "a call that is dropped is recorded as failed"]
pub struct Call {
    recorder: Recorder,
    message_id: MessageId,
    told: Update,
    is_over: bool,
    streamed: Option<Usage>,
}

impl Call {
    pub(crate) fn new(recorder: Recorder, message_id: MessageId) -> Self {
        Self {
            recorder,
            message_id,
            told: Update::new(),
            is_over: false,
            streamed: None,
        }
    }

    /// Returns the message id.
    #[must_use]
    pub fn message_id(&self) -> &MessageId {
        &self.message_id
    }

    /// Counts tokens of the answer as they pass. They are what is recorded if the call ends without its provider's own count.
    pub fn streamed(&mut self, tokens: u32) {
        let usage = self.streamed.get_or_insert_default();
        *usage = Usage::new(usage.prompt, usage.completion.saturating_add(tokens));
    }

    /// Sets how many tokens the prompt had, for a call whose provider does not say in the end.
    pub fn prompted(&mut self, tokens: u32) {
        let usage = self.streamed.get_or_insert_default();
        *usage = Usage::new(tokens, usage.completion);
    }

    /// Sets which model answered.
    pub fn served_by(&mut self, model: impl Into<String>) {
        self.told = std::mem::take(&mut self.told).served_model(model);
    }

    /// Records that the call was answered. Without a usage it is what [passed](Self::streamed).
    pub fn complete(mut self, usage: Option<Usage>, cost: Option<Cost>, reasoning: Vec<String>) {
        let told = std::mem::take(&mut self.told).cost_if(cost);
        self.told = told.reasoning(reasoning);
        if usage.is_some() {
            self.streamed = usage;
        }
        self.end(Outcome::Completed, None);
    }

    /// Records that the call failed, with what [passed](Self::streamed) until then.
    pub fn fail(mut self, error: impl Into<String>) {
        self.end(Outcome::Failed, Some(error.into()));
    }

    fn end(&mut self, outcome: Outcome, error: Option<String>) {
        self.is_over = true;
        let mut update = std::mem::take(&mut self.told).ended(outcome, Utc::now(), error);
        if let Some(usage) = self.streamed {
            update = update.usage(usage);
        }
        self.recorder.update(&self.message_id, update);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over {
            let error = match thread::panicking() {
                true => "the handler panicked",
                false => "the handler ended, or was dropped, before the call did",
            };
            self.end(Outcome::Failed, Some(error.to_owned()));
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("message_id", &self.message_id)
            .finish_non_exhaustive()
    }
}
