//! How long events are kept.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// How long events are kept, counted from when they [were made](crate::AuditEvent::created_at).
///
/// As text it is a number and a unit, `90d`, or `forever`; the units are `s`, `m`, `h`, `d`, `w` and `y`, which is 365
/// days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Keep {
    /// For so many seconds.
    Seconds(u32),
    /// For ever.
    Forever,
}

impl Keep {
    /// Returns the time of so many days, at most 49,710.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self::Seconds(days.saturating_mul(DAY))
    }

    /// Returns the moment before which events are old enough to go, if there is one.
    #[must_use]
    pub fn cutoff(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Seconds(seconds) => now.checked_sub_signed(TimeDelta::seconds(seconds.into())),
            Self::Forever => None,
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Forever => f.write_str("forever"),
            Self::Seconds(seconds) => {
                let whole = |(_, unit): &&(&str, u32)| seconds % unit == 0;
                // Years are written as days: they are for people who count in years.
                let (name, unit) = UNITS[1..].iter().find(whole).unwrap_or(&("s", 1));
                write!(f, "{}{name}", seconds / unit)
            }
        }
    }
}

impl FromStr for Keep {
    type Err = ParseKeepError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = UNITS
            .iter()
            .find(|(name, _)| *name == &text[number.len()..]);
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        unit.filter(|_| is_number)
            .and_then(|(_, unit)| number.parse::<u32>().ok()?.checked_mul(*unit))
            .map(Self::Seconds)
            .ok_or_else(|| ParseKeepError(text.chars().take(40).collect()))
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A text that is no time to keep something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not how long to keep something: write a number and a unit, such as 90d, 12w or 7y, or forever"
)]
pub struct ParseKeepError(String);

const DAY: u32 = 86_400;

const UNITS: [(&str, u32); 6] = [
    ("y", 365 * DAY),
    ("d", DAY),
    ("w", 7 * DAY),
    ("h", 3_600),
    ("m", 60),
    ("s", 1),
];
