//! Text that every store accepts.

use std::{borrow::Cow, fmt};

use smol_str::SmolStr;
use uuid::Uuid;

/// Text that is safe to store and to print: no NUL, no control characters, nothing that reorders what
/// a screen shows; cheap to clone.
///
/// Such characters are replaced by U+FFFD when the text is made. PostgreSQL refuses a NUL and
/// fails the whole statement for it, and an escape sequence in a log is an attack on the terminal
/// of whoever reads it.
///
/// Text longer than a field allows is cut on a character boundary and says so at its end:
///
/// ```
/// use tower_audit_core::Text;
///
/// let text = Text::capped(&"a".repeat(1_000), 64);
/// assert_eq!(text.as_str().len(), 64);
/// assert!(text.as_str().ends_with("a…[cut, 1000 bytes]"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(SmolStr);

impl Text {
    /// The length of the mark at the end of a text that was cut, at most.
    pub(crate) const MARK_BYTES: usize = "…[cut, 18446744073709551615 bytes]".len();

    /// Returns `text` with control characters replaced, cut to at most `max_bytes` bytes.
    ///
    /// A limit below the length of the mark (about 30 bytes) is raised to it.
    #[must_use]
    pub fn capped(text: &str, max_bytes: usize) -> Self {
        // At most this many bytes are looked at, however long the input is.
        let head = clean(&text[..text.floor_char_boundary(max_bytes)]);
        if text.len() <= max_bytes && head.len() <= max_bytes {
            return Self(SmolStr::new(head));
        }
        let mark = format!("…[cut, {} bytes]", text.len());
        let keep = head.floor_char_boundary(max_bytes.saturating_sub(mark.len()));
        Self(SmolStr::from_iter([&head[..keep], &mark]))
    }

    /// Returns the text without copying it.
    #[must_use]
    pub fn from_static(text: &'static str) -> Self {
        match clean(text) {
            Cow::Borrowed(text) => Self(SmolStr::new_static(text)),
            Cow::Owned(text) => Self(SmolStr::new(text)),
        }
    }

    /// Returns this text cut to at most `max_bytes` bytes.
    #[must_use]
    pub(crate) fn cap(self, max_bytes: usize) -> Self {
        if self.0.len() <= max_bytes {
            self
        } else {
            Self::capped(&self.0, max_bytes)
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns how many bytes the text takes outside of the value itself.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        if self.0.is_heap_allocated() {
            self.0.len()
        } else {
            0
        }
    }
}

/// The longest id, name or user agent, in bytes.
pub(crate) const MAX_ID: usize = 512;

/// Replaces control characters, and copies only if there are any.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    clean_but(text, |_| false)
}

/// Like [`clean`], but leaves the characters that `keep` accepts.
pub(crate) fn clean_but(text: &str, keep: fn(char) -> bool) -> Cow<'_, str> {
    // In UTF-8 the controls U+0080 to U+009F begin with 0xC2, and what reorders text with 0xE2.
    let suspicious = |byte: u8| (byte < 0x20) | (byte == 0x7F) | (byte == 0xC2) | (byte == 0xE2);
    // Without a way out in the middle, so that many bytes are looked at in one instruction.
    let is_suspicious = text
        .as_bytes()
        .iter()
        .fold(false, |found, byte| found | suspicious(*byte));
    let is_bad = |c: char| (c.is_control() || reorders(c)) && !keep(c);
    if !is_suspicious || !text.chars().any(is_bad) {
        return Cow::Borrowed(text);
    }
    let replaced = text.chars().map(|c| {
        if is_bad(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    });
    Cow::Owned(replaced.collect())
}

/// Returns whether the character makes a screen show text in another order than it is stored, which
/// lets one name pass for another ("Trojan Source", CVE-2021-42574).
fn reorders(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(SmolStr::new(clean(text)))
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        Self::from(&*text)
    }
}

impl From<Uuid> for Text {
    fn from(id: Uuid) -> Self {
        Self(SmolStr::new(
            id.hyphenated().encode_lower(&mut Uuid::encode_buffer()),
        ))
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Text {
            fn from(number: $integer) -> Self {
                Self(smol_str::format_smolstr!("{number}"))
            }
        }
    )*};
}

from_integers!(i16, i32, i64, i128, u16, u32, u64, u128, usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(
            Text::from("a\0b\u{1b}[31m\u{85}c\n"),
            "a\u{fffd}b\u{fffd}[31m\u{fffd}c\u{fffd}"
        );
    }

    #[test]
    fn a_control_character_beyond_ascii_is_replaced() {
        assert_eq!(Text::from("a\u{85}b"), "a\u{fffd}b");
    }

    #[test]
    fn what_reorders_text_on_a_screen_is_replaced() {
        assert_eq!(
            Text::from("nimda\u{202e}…\u{2066}"),
            "nimda\u{fffd}…\u{fffd}"
        );
    }

    #[test]
    fn ordinary_text_is_kept_to_the_letter() {
        assert_eq!(Text::from("Zoë ° 日本 \u{a0}"), "Zoë ° 日本 \u{a0}");
    }

    proptest! {
        #[test]
        fn capped_text_fits_and_is_clean_and_stays_as_it_is(text in "\\PC{0,40}|[\\x00-\\u{ff}]{0,200}", max in 40_usize..120) {
            let once = Text::capped(&text, max);
            prop_assert!(once.as_str().len() <= max);
            prop_assert!(!once.as_str().chars().any(char::is_control));
            if text.len() > max {
                let said = once.as_str().ends_with(&format!("…[cut, {} bytes]", text.len()));
                prop_assert!(said);
            }
            prop_assert_eq!(once.clone().cap(once.as_str().len()), once);
        }
    }
}
