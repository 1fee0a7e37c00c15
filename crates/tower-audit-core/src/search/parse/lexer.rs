//! Walks over the text of a search.

use std::{borrow::Cow, ops::Range};

use super::SearchError;

/// Walks over the text of a search, and knows where it is.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// A value as it stands in the text.
pub(super) struct Word<'a> {
    pub(super) text: Cow<'a, str>,
    /// It ends with a `*` that is not quoted.
    pub(super) is_prefix: bool,
    pub(super) span: Range<usize>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Goes on to the next term; returns whether there is one.
    pub(super) fn skip_space(&mut self) -> bool {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at < self.text.len()
    }

    /// Steps over the character if it is next.
    pub(super) fn takes(&mut self, wanted: char) -> bool {
        let is_next = self.peeks(wanted);
        if is_next {
            self.at += wanted.len_utf8();
        }
        is_next
    }

    /// Steps over one character, whatever it is.
    pub(super) fn step(&mut self) {
        self.at += self.rest().chars().next().map_or(0, char::len_utf8);
    }

    /// Goes back.
    pub(super) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// Steps over so many bytes.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Reads the name of a key.
    pub(super) fn key(&mut self) -> &'a str {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        self.bare(|c| !is_word(c))
    }

    /// Reads up to where a term ends, or a value, or a character for which `ends` holds.
    pub(super) fn bare(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let stops = |c: char| c.is_whitespace() || matches!(c, ',' | '"') || ends(c);
        let rest = self.rest();
        let word = &rest[..rest.find(stops).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// Reads what stands between quotes, if a quote is next.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, SearchError> {
        let start = self.at;
        if !self.takes('"') {
            return Ok(None);
        }
        let mut text = String::new();
        loop {
            let at = self.at;
            let mut rest = self.rest().chars();
            let (next, after) = (rest.next(), rest.next());
            self.step();
            match (next, after) {
                (Some('"'), _) => return Ok(Some(text)),
                (Some('\\'), Some(escaped @ ('"' | '\\'))) => {
                    text.push(escaped);
                    self.step();
                }
                (Some('\\'), _) => {
                    return Err(self.error(
                        at..self.at,
                        "a backslash in quotes stands before a quote or a backslash",
                        r"write \\ for one",
                    ));
                }
                (Some(other), _) => text.push(other),
                (None, _) => {
                    return Err(self.error(
                        start..self.at,
                        "the quote is not closed",
                        "write \" at its end",
                    ));
                }
            }
        }
    }

    /// Reads a value.
    pub(super) fn word(&mut self) -> Result<Word<'a>, SearchError> {
        let start = self.at;
        let (text, is_prefix) = match self.quoted()? {
            Some(text) => (Cow::Owned(text), self.takes('*')),
            None => {
                let word = self.bare(|_| false);
                let text = word.strip_suffix('*');
                (Cow::Borrowed(text.unwrap_or(word)), text.is_some())
            }
        };
        Ok(Word {
            text,
            is_prefix,
            span: start..self.at,
        })
    }

    /// Makes sure that the term ends here.
    pub(super) fn ends_here(&self) -> Result<(), SearchError> {
        match self.rest().chars().next() {
            None => Ok(()),
            Some(c) if c.is_whitespace() => Ok(()),
            Some(c) => Err(self.error(
                self.at..self.at + c.len_utf8(),
                format!("`{c}` cannot stand here"),
                "put all of the value between quotes, or a space before the next term",
            )),
        }
    }

    pub(super) fn peeks(&self, wanted: char) -> bool {
        self.rest().starts_with(wanted)
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Returns what was read since.
    pub(super) fn from(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    pub(super) fn error(
        &self,
        span: Range<usize>,
        problem: impl Into<String>,
        hint: &str,
    ) -> SearchError {
        SearchError {
            character: self.text[..span.start].chars().count() + 1,
            span,
            problem: problem.into(),
            hint: hint.to_owned(),
        }
    }
}
