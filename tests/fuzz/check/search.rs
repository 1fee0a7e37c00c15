//! What must hold whatever somebody writes into a search.

use tower_audit_core::Filter;

/// Takes the bytes as a search, and panics if its text does not survive, or if an error does not say where.
pub(crate) fn search(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let now = "2026-11-21T12:00:00Z".parse().expect("it is a time");
    match Filter::parse(text, now) {
        Ok(filter) => {
            let written = filter.to_string();
            // Written out, a search may be longer than one may be.
            if written.len() <= 4_096 {
                assert_eq!(
                    Filter::parse(&written, now).as_ref(),
                    Ok(&filter),
                    "{text:?} became {written:?}"
                );
            }
        }
        Err(error) => {
            assert!(text.get(error.span()).is_some(), "{text:?}");
            assert!(!error.problem().is_empty() && !error.hint().is_empty());
        }
    }
}
