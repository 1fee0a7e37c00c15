//! Secrets in the middle of text: behind a telling name, a scheme of authentication, in a URL.

use std::borrow::Cow;

use super::{Redaction, redaction::MASK};

impl Redaction {
    /// Redacts what stands behind the name of a secret and an equals sign, behind `Bearer` and `Basic`, and
    /// before the `@` of a URL.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut secrets = Vec::new();
        self.find_pairs(text, &mut secrets);
        find_credentials(text, &mut secrets);
        find_user_info(text, &mut secrets);
        if secrets.is_empty() {
            return Cow::Borrowed(text);
        }
        secrets.sort_unstable_by_key(|(from, _)| *from);
        let mut redacted = String::with_capacity(text.len());
        let mut end = 0;
        for (from, to) in secrets {
            if to <= end {
                continue;
            }
            if from >= end {
                redacted.push_str(&text[end..from]);
                redacted.push_str(MASK);
            }
            end = to;
        }
        redacted.push_str(&text[end..]);
        Cow::Owned(redacted)
    }

    /// Finds `name=value`, `name: value` and `"name": "value"`.
    fn find_pairs(&self, text: &str, secrets: &mut Vec<(usize, usize)>) {
        let mut from = 0;
        while let Some(at) = text[from..].find(['=', ':']) {
            let separator = from + at;
            from = separator + 1;
            let name = percent_encoding::percent_decode_str(name_before(text, separator));
            let name = name.decode_utf8_lossy();
            if !name.is_empty() && self.of_name(&name).is_some() {
                let secret = value_after(text, separator + 1);
                // Whatever is in the value is part of it.
                from = secret.1;
                secrets.push(secret);
            }
        }
    }
}

/// Returns the name that ends here, perhaps in quotes.
fn name_before(text: &str, end: usize) -> &str {
    let window = &text[text.ceil_char_boundary(end.saturating_sub(MAX_NAME))..end];
    let window = window.trim_end_matches(is_between);
    let is_first = |(at, c): (usize, char)| (!is_of_name(c)).then_some(at + c.len_utf8());
    let start = window.char_indices().rev().find_map(is_first);
    &window[start.unwrap_or(0)..]
}

/// Returns from where to where the value goes that begins here, perhaps in quotes.
fn value_after(text: &str, start: usize) -> (usize, usize) {
    let value = text[start..].trim_start_matches(is_between);
    let from = text.len() - value.len();
    let before = &text[start..from];
    let len = match before.chars().next_back() {
        Some(quote @ ('"' | '\'')) => {
            // In a text that was escaped as a whole, the quotes that count are the escaped ones.
            let is_escaped = before.trim_end_matches(quote).ends_with('\\');
            let ends = |at: &usize| is_escaped || !value[..*at].ends_with('\\');
            value.match_indices(quote).map(|(at, _)| at).find(ends)
        }
        // JSON inside of text: where it ends is not worth a parser.
        _ if value.starts_with(['{', '[']) => None,
        _ => value.find(ends_value),
    };
    (from, len.map_or(text.len(), |len| from + len))
}

/// Finds what follows `Bearer` and `Basic`.
fn find_credentials(text: &str, secrets: &mut Vec<(usize, usize)>) {
    for scheme in ["bearer ", "basic "] {
        let mut from = 0;
        while let Some(at) = find_ignoring_case(&text[from..], scheme) {
            let start = from + at + scheme.len();
            let to = text[start..]
                .find(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\''))
                .map_or(text.len(), |len| start + len);
            if to > start {
                secrets.push((start, to));
            }
            from = start;
        }
    }
}

/// Finds the user and the password of a URL.
fn find_user_info(text: &str, secrets: &mut Vec<(usize, usize)>) {
    for (at, separator) in text.match_indices("://") {
        let from = at + separator.len();
        let authority = &text[from..];
        let authority = authority
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\''))
            .map_or(authority, |end| &authority[..end]);
        if let Some(end) = authority.rfind('@') {
            secrets.push((from, from + end));
        }
    }
}

/// Finds ASCII text in lower case.
fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    let mut windows = text.as_bytes().windows(wanted.len());
    windows.position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '%')
}

/// Returns whether it may stand between a name, the sign behind it, and the value.
fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '\\')
}

fn ends_value(c: char) -> bool {
    c.is_whitespace() || matches!(c, '&' | ';' | '"' | '\'' | '#' | ',' | '<' | '>')
}

/// Names are no longer; text without spaces may be.
const MAX_NAME: usize = 256;
