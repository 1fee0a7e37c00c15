//! How many tokens a call took.

use serde::{Deserialize, Serialize};

/// How many tokens a call took, as the provider counted them.
///
/// ```
/// use tower_audit_ai::Usage;
///
/// let usage = Usage::new(1_200, 300).cached(1_000).reasoning(120);
/// assert_eq!(usage.total, 1_500);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Those of the prompt, the cached ones among them.
    pub prompt: u32,
    /// Those of the answer, the ones for reasoning among them.
    pub completion: u32,
    /// All of them, as the provider says: it may count some that are in neither of the two.
    pub total: u64,
    /// Those of the prompt that the provider had seen before.
    #[serde(default)]
    pub cached: u32,
    /// Those of the answer that nobody saw.
    #[serde(default)]
    pub reasoning: u32,
}

impl Usage {
    /// Returns the usage of a call. The total is the sum.
    #[must_use]
    pub fn new(prompt: u32, completion: u32) -> Self {
        Self {
            prompt,
            completion,
            total: u64::from(prompt) + u64::from(completion),
            cached: 0,
            reasoning: 0,
        }
    }

    /// Sets how many tokens of the prompt were cached. Defaults to none.
    #[must_use]
    pub fn cached(mut self, tokens: u32) -> Self {
        self.cached = tokens;
        self
    }

    /// Sets how many tokens of the answer were for reasoning. Defaults to none.
    #[must_use]
    pub fn reasoning(mut self, tokens: u32) -> Self {
        self.reasoning = tokens;
        self
    }

    /// Sets how many tokens there were in all, at most a million million: what is more could not be added up. Defaults to the sum.
    #[must_use]
    pub fn total(mut self, tokens: u64) -> Self {
        self.total = tokens.min(MOST);
        self
    }
}

/// How many tokens a call takes at most. No model comes near.
const MOST: u64 = 1_000_000_000_000;
