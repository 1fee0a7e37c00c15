//! Why a policy was refused.

/// Why a policy was refused. The rule is named by its number and its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// There are no rules.
    #[error("there are no rules: leave the policy out to have the default, or write a rule")]
    NoRules,
    /// A key beside the rules that nobody knows.
    #[error("there is no key `{0}` in a policy; the keys there are `rules` and `otherwise`")]
    UnknownKey(String),
    /// A rule that cannot be meant.
    #[error("{rule}: {problem}")]
    #[non_exhaustive]
    Rule {
        /// Which one.
        rule: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A rule that never has its turn.
    #[error(
        "{rule} can never be reached, because {earlier} holds whenever it does: put it before that one, or take \
         it away"
    )]
    #[non_exhaustive]
    Unreachable {
        /// Which one.
        rule: String,
        /// The one that takes its turn.
        earlier: String,
    },
    /// Pending rows need more room than the queue has.
    #[error(
        "a rule has the mode Strict, for which the queue is too small: give it a capacity of at least 2 events"
    )]
    QueueTooSmall,
}
