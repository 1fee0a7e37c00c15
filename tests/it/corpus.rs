//! The corpus of the fuzz target, whatever it has found so far.

#[path = "../fuzz/check.rs"]
mod check;

#[test]
fn whatever_is_in_a_segment_the_reader_finds_whole_records_and_does_not_panic() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/segment");
    let files: Vec<_> = std::fs::read_dir(corpus).unwrap().collect();
    assert!(files.len() >= 16, "the corpus is in the repository");
    for file in files {
        check::segment(&std::fs::read(file.unwrap().path()).unwrap());
    }
}
