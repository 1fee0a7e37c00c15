//! Secrets in the middle of text: behind a telling name, a scheme of authentication, in a URL.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{Redaction, redaction::MASK};

impl Redaction {
    /// Redacts what stands behind the name of a secret and an equals sign, behind `Bearer` and `Basic`, and
    /// before the `@` of a URL.
    pub(super) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
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
    fn find_pairs(&self, text: &str, secrets: &mut Vec<Place>) {
        let mut from = 0;
        while let Some(at) = text[from..].find(['=', ':']) {
            let separator = from + at;
            from = separator + 1;
            let is_quoted = text[..separator].ends_with(['"', '\'']);
            let is_prose = text[separator..].starts_with(':') && !is_quoted;
            let name = percent_decode_str(name_before(text, separator)).decode_utf8_lossy();
            let treatment = match (name.is_empty(), is_prose) {
                (true, _) => None,
                (false, true) => self.of_name_in_prose(&name),
                (false, false) => self.of_name(&name),
            };
            if treatment.is_some() {
                let secret = if is_prose && is_of_header(&name) {
                    (separator + 1, end_of_line(text, separator + 1))
                } else {
                    value_after(text, separator + 1)
                };
                // Whatever is in the value is part of it.
                from = secret.1;
                secrets.push(secret);
            }
        }
    }
}

/// From where to where a secret goes.
type Place = (usize, usize);

/// Returns the name that ends here, perhaps in quotes.
fn name_before(text: &str, end: usize) -> &str {
    let window = &text[text.ceil_char_boundary(end.saturating_sub(MAX_NAME))..end];
    let window = window.trim_end_matches(is_between);
    let is_first = |(at, c): (usize, char)| (!is_of_name(c)).then_some(at + c.len_utf8());
    let start = window.char_indices().rev().find_map(is_first);
    &window[start.unwrap_or(0)..]
}

/// Returns whether everything on the line is the value of this header.
fn is_of_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("authorization") || name.ends_with("cookie")
}

fn end_of_line(text: &str, from: usize) -> usize {
    let len = text[from..].find(['\r', '\n']);
    len.map_or(text.len(), |len| from + len)
}

/// Returns from where to where the value goes that begins here, perhaps in quotes.
fn value_after(text: &str, start: usize) -> Place {
    // `==`, `:=` and `=>` are signs, too.
    let is_before = |c| is_between(c) || matches!(c, '=' | '>' | ':');
    let value = text[start..].trim_start_matches(is_before);
    let from = text.len() - value.len();
    let before = &text[start..from];
    let len = match before.chars().next_back() {
        Some(quote @ ('"' | '\'')) => {
            // In a text that was escaped as a whole, the quotes that count are the escaped ones.
            let is_escaped = before.trim_end_matches(quote).ends_with('\\');
            closing_quote(value, quote, is_escaped)
        }
        _ if value.starts_with(MASK) => Some(MASK.len()),
        // JSON inside of text: where it ends is not worth a parser.
        _ if value.starts_with(['{', '[']) => None,
        _ => unquoted(value),
    };
    (from, len.map_or(text.len(), |len| from + len))
}

/// Returns where the value ends that has no quotes around it, such as `abc` and `Some("abc")`.
fn unquoted(value: &str) -> Option<usize> {
    let end = value.find(ends_value)?;
    let quote = value[end..]
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''));
    match quote.filter(|_| value[..end].ends_with('(')) {
        Some(quote) => closing_quote(&value[end + 1..], quote, false).map(|len| end + 1 + len),
        None => Some(end),
    }
}

fn closing_quote(value: &str, quote: char, is_escaped: bool) -> Option<usize> {
    let backslashes = |at: usize| value[..at].len() - value[..at].trim_end_matches('\\').len();
    // One backslash more than that is part of the value.
    let ends = |at: &usize| backslashes(*at) == usize::from(is_escaped);
    value.match_indices(quote).map(|(at, _)| at).find(ends)
}

/// Finds what follows `Bearer` and `Basic`.
fn find_credentials(text: &str, secrets: &mut Vec<Place>) {
    for scheme in ["bearer", "basic"] {
        let mut from = 0;
        while let Some(at) = find_ignoring_case(&text[from..], scheme) {
            from += at + scheme.len();
            let value = text[from..].trim_start_matches(|c: char| c.is_whitespace() || c == '+');
            let start = text.len() - value.len();
            let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'');
            let to = value.find(ends).map_or(text.len(), |len| start + len);
            if start > from && to > start {
                secrets.push((start, to));
            }
        }
    }
}

/// Finds the user and the password of a URL.
fn find_user_info(text: &str, secrets: &mut Vec<Place>) {
    for (at, separator) in text.match_indices("://") {
        let from = at + separator.len();
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
        let url = &text[from..];
        let url = &url[..url.floor_char_boundary(MAX_URL)];
        let url = url.find(ends).map_or(url, |end| &url[..end]);
        let authority = url.find(['/', '?', '#']).map_or(url, |end| &url[..end]);
        // A password with a slash in it should have been encoded, and was not.
        let port = authority.rsplit_once(':').map(|(_, port)| port);
        let is_torn = port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit()));
        let end = authority.rfind('@');
        if let Some(end) = end.or_else(|| url.rfind('@').filter(|_| is_torn)) {
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
    c.is_whitespace() || matches!(c, '&' | ';' | '"' | '\'' | '#' | '<' | '>')
}

/// Names are no longer; text without spaces may be.
const MAX_NAME: usize = 256;

/// The user and the password are within that of the beginning of a URL.
const MAX_URL: usize = 1_024;
