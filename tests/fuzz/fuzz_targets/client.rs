//! Feeds anything to the rule for the client's address. What must hold is in `check/client.rs`, which the
//! normal tests run over the corpus.
#![no_main]

#[path = "../check/client.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::client(bytes));
