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
        // What was masked before is no secret any more.
        let is_masked = |(from, to): &Place| text[*from..*to].trim_matches(is_between) == MASK;
        secrets.retain(|place| place.0 < place.1 && !is_masked(place));
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
    let is_sign = |c: char| c.is_whitespace() || matches!(c, '=' | '>' | ':');
    let value = text[start..].trim_start_matches(is_sign);
    // In a text that was escaped as a whole, the quotes that count are the escaped ones.
    let unescaped = value.trim_start_matches('\\');
    let is_escaped = unescaped.len() < value.len();
    let (value, len) = match unescaped.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let value = &unescaped[1..];
            (value, closing_quote(value, quote, is_escaped))
        }
        _ if value.starts_with(MASK) => (value, Some(MASK.len())),
        // JSON inside of text: where it ends is not worth a parser.
        _ if value.starts_with(['{', '[']) => (value, None),
        _ => (value, unquoted(value)),
    };
    let from = text.len() - value.len();
    (from, len.map_or(text.len(), |len| from + len))
}

/// Returns where the value ends that has no quotes around it, such as `abc` and `Some("abc")`.
fn unquoted(value: &str) -> Option<usize> {
    let ends = |(at, c): (usize, char)| {
        let is_end = ends_value(c) || (c == ',' && begins_with_pair(&value[at + 1..]));
        is_end.then_some(at)
    };
    let end = value.char_indices().find_map(ends)?;
    let quote = value[end..]
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''));
    match quote.filter(|_| value[..end].ends_with('(')) {
        Some(quote) => closing_quote(&value[end + 1..], quote, false).map(|len| end + 1 + len),
        None => Some(end),
    }
}

/// Returns whether a name and a sign follow, as in `a=1,b=2`: a comma may be part of a value.
fn begins_with_pair(text: &str) -> bool {
    let text = &text[..text.floor_char_boundary(MAX_PAIR)];
    let after = text.trim_start_matches(|c| is_between(c) || is_of_name(c));
    after.len() < text.len() && after.starts_with(['=', ':'])
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
            let near = &value[..value.floor_char_boundary(MAX_CREDENTIAL)];
            let len = near
                .find(ends)
                .or((near.len() == value.len()).then_some(near.len()));
            if start > from && !value.is_empty() {
                // Of one that is longer than any, the rest of the text is a part.
                secrets.push((start, len.map_or(text.len(), |len| start + len)));
                if len.is_none() {
                    break;
                }
            }
        }
    }
}

/// Finds the user and the password of a URL.
fn find_user_info(text: &str, secrets: &mut Vec<Place>) {
    for (at, separator) in text.match_indices("://") {
        let from = at + separator.len();
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
        let ends_authority = |c: char| ends(c) || matches!(c, '/' | '?' | '#');
        // The next `://` ends it, so that all of them together are looked at once.
        let authority = &text[from..];
        let authority = authority
            .find(ends_authority)
            .map_or(authority, |end| &authority[..end]);
        let url = &text[from..text.floor_char_boundary(from + MAX_URL)];
        let url = url.find(ends).map_or(url, |end| &url[..end]);
        // A password with a slash in it should have been encoded, and was not.
        let port = authority.rsplit_once(':').map(|(_, port)| port);
        let port = port.filter(|_| !authority.starts_with('['));
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

/// A credential is no longer.
const MAX_CREDENTIAL: usize = 4_096;

/// A pair begins with a name that is no longer.
const MAX_PAIR: usize = 64;

/// A password with a slash in it is within that of the beginning of a URL.
const MAX_URL: usize = 1_024;
