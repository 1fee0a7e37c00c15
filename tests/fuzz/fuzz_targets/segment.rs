//! Feeds anything to the reader of segments. What must hold is in `check/segment.rs`, which the normal
//! tests run over the corpus.
#![no_main]

#[path = "../check/segment.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::segment(bytes));
