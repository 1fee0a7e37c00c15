//! Terms that look like flags.

use std::ffi::OsString;

use tower_audit_core::Filter;

/// Keeps a term such as `-outcome:success` from being taken for flags.
pub(crate) fn shield(argument: OsString) -> OsString {
    let term = argument.to_str().filter(|text| text.starts_with('-'));
    match term {
        Some(term)
            if term
                .parse::<Filter>()
                .is_ok_and(|filter| !filter.is_empty()) =>
        {
            format!("{SHIELD}{term}").into()
        }
        _ => argument,
    }
}

/// Returns the words of a search as they were written.
pub(crate) fn unshielded(words: &[String]) -> String {
    let words = words
        .iter()
        .map(|word| word.strip_prefix(SHIELD).unwrap_or(word));
    words.collect::<Vec<_>>().join(" ")
}

/// For private use, says Unicode: nobody writes it.
const SHIELD: char = '\u{E000}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_term_is_kept_from_being_a_flag() {
        let shielded = |text: &str| shield(text.into()) != *text;
        assert!(shielded("-outcome:success") && shielded("-actor:a,b -tenant:*"));
        for flag in [
            "-n",
            "--json",
            "-n3",
            "-dpostgres://u@h/d",
            "--",
            "-",
            "actor:alice",
        ] {
            assert!(!shielded(flag), "{flag}");
        }
    }
}
