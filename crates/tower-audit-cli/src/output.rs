//! What people see, and what programs read.

use std::io::{self, Write};

use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

/// Where a command writes to.
pub(crate) struct Output {
    out: Box<dyn Write>,
    pub(crate) is_json: bool,
}

impl Output {
    pub(crate) fn to_stdout(is_json: bool) -> Self {
        Self {
            out: Box::new(io::stdout()),
            is_json,
        }
    }

    /// Writes a line for people.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{}", clean(text.as_ref()))?)
    }

    /// Writes text of ours as it is.
    pub(crate) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Writes an object for programs.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{}", serde_json::to_string(value)?)?)
    }

    /// Writes a table for people. What was stored makes no line of its own in it.
    pub(crate) fn table<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> anyhow::Result<()> {
        self.page(
            header,
            rows.into_iter().map(|row| row.map(|cell| one_line(&cell))),
        )
    }

    /// Writes a table of which cells may have lines: none of what was stored as it is.
    pub(crate) fn page<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header);
        for row in rows {
            table.add_row(row.map(|cell| clean(&cell)));
        }
        Ok(writeln!(self.out, "{table}")?)
    }

    /// Says something beside what a program reads, on standard error.
    pub(crate) fn aside(&mut self, text: impl AsRef<str>) -> anyhow::Result<()> {
        Ok(writeln!(io::stderr(), "{}", clean(text.as_ref()))?)
    }

    /// Makes sure that what was written is seen.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

/// Leaves out what a terminal would take for a command: what was stored is not ours.
fn clean(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '\n' => '\n',
            char if char.is_control() || reorders(char) => '\u{FFFD}',
            char => char,
        })
        .collect()
}

/// Returns whether a character lets the text around it appear in another order.
fn reorders(char: char) -> bool {
    matches!(char, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether a terminal shows the text as it is.
pub(crate) fn is_clean(text: &str) -> bool {
    clean(text) == text
}

/// Keeps text that was stored from looking like a row or a line of its own.
pub(crate) fn one_line(text: &str) -> String {
    text.replace('\n', "\u{FFFD}")
}

/// Hides the passwords of URLs, wherever somebody wrote them.
pub(crate) fn without_passwords(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|char: char| char.is_whitespace() || "/\"'`".contains(char));
        let (authority, behind) = after.split_at(end.unwrap_or(after.len()));
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split(':').next().unwrap_or_default();
                shown.push_str(&format!("{user}:***@{host}"));
            }
            None => shown.push_str(authority),
        }
        rest = behind;
    }
    shown + rest
}

/// Returns an error with its causes. Some say their cause themselves: it is said once.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !said.ends_with(&cause) {
            if !said.is_empty() {
                said.push_str(": ");
            }
            said.push_str(&cause);
        }
    }
    clean(&without_passwords(&said))
}

/// Returns whether nobody reads any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_a_url_is_shown() {
        let said = without_passwords(
            "no 'postgres://app:s3:cr@t@db:5/x?y' and s3://bucket/a@b, http://u@h",
        );
        assert_eq!(
            said,
            "no 'postgres://app:***@db:5/x?y' and s3://bucket/a@b, http://u:***@h"
        );
    }

    #[test]
    fn what_was_stored_reorders_nothing_and_makes_no_row() {
        assert_eq!(clean("a\u{202E}b\u{2066}"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(one_line("a\nb"), "a\u{FFFD}b");
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let error = anyhow::anyhow!("no route").context("could not connect: no route");
        let error = error.context("the database cannot be reached");
        assert_eq!(
            causes(&error),
            "the database cannot be reached: could not connect: no route"
        );
    }

    #[test]
    fn what_was_stored_is_no_command_to_the_terminal() {
        assert_eq!(
            clean("a\u{1b}[2Jb\u{9b}c\td\ne"),
            "a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}d\ne"
        );
    }
}
