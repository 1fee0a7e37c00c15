//! A status or a range of them, as it is written in a rule.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A status or a range of them, as it is written: `404`, `"4xx"`, `"500-504"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) String);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl de::Visitor<'_> for Written {
            type Value = Status;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status: 404, \"4xx\" or \"500-504\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Status, E> {
                Ok(Status(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Status, E> {
                Ok(Status(number.to_string()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Status, E> {
                Ok(Status(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Written)
    }
}
