//! The corpora of the fuzz targets, whatever they have found so far.

#[path = "../fuzz/check/client.rs"]
mod client;
#[path = "../fuzz/check/search.rs"]
mod search;
#[path = "../fuzz/check/segment.rs"]
mod segment;

fn each_file(target: &str, check: fn(&[u8])) {
    let corpus = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = std::fs::read_dir(corpus).unwrap().collect();
    assert!(files.len() >= 16, "the corpus is in the repository");
    for file in files {
        check(&std::fs::read(file.unwrap().path()).unwrap());
    }
}

#[test]
fn whatever_is_in_a_segment_the_reader_finds_whole_records_and_does_not_panic() {
    each_file("segment", segment::segment);
}

#[test]
fn whatever_a_client_writes_into_its_headers_it_does_not_choose_its_address() {
    each_file("client", client::client);
}

#[test]
fn whatever_somebody_writes_into_a_search_it_survives_its_text_or_is_refused_with_a_place() {
    each_file("search", search::search);
}
