//! Feeds anything to the parser of searches. What must hold is in `check/search.rs`, which the normal tests run over
//! the corpus.
#![no_main]

#[path = "../check/search.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::search(bytes));
