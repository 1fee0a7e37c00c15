//! A model that only pretends: it repeats what it was asked, word by word.

use std::time::Duration;

use futures_util::{Stream, stream};
use tower_audit_ai::Usage;

/// What it is called where it is asked, and which one answers.
pub(crate) const NAME: &str = "parrot-large";
pub(crate) const SERVED: &str = "parrot-large-2026-11";

/// What comes of it.
#[derive(Debug)]
pub(crate) enum Piece {
    /// One token of the answer.
    Token(String),
    /// The end: what it took, and what it thought.
    End(Usage, Vec<String>),
}

/// Asks it.
pub(crate) fn ask(prompt: &str, word: Duration) -> impl Stream<Item = Piece> + Send + 'static {
    let words: Vec<String> = prompt.split_whitespace().map(str::to_owned).collect();
    let asked = u32::try_from(words.len()).unwrap_or(u32::MAX);
    let thought = vec![
        format!("I was given {asked} words"),
        "I shall say them again".to_owned(),
    ];
    // Its provider counts some more, as providers do.
    let end = Piece::End(Usage::new(asked + 12, asked), thought);
    let pieces = words.into_iter().map(Piece::Token).chain([end]);
    stream::unfold(pieces, move |mut pieces| async move {
        tokio::time::sleep(word).await;
        Some((pieces.next()?, pieces))
    })
}
