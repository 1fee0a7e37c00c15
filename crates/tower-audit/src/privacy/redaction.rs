//! What is redacted, and how.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{HmacKey, names};
use crate::glob::Glob;

/// What becomes of a value that must not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Treatment {
    /// It is left out, and its key with it.
    Drop,
    /// `[redacted]` stands in its place.
    Mask,
    /// Its keyed hash stands in its place: it tells which values are the same, not what they are. See
    /// [`HmacKey::hash`]. Of anything but text it is that of its JSON, with sorted keys.
    Hmac,
}

/// What is redacted before anything is stored; cheap to clone. See the [module page](crate::privacy).
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    pub(super) rules: Arc<Rules>,
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    /// By normal name. `None` allows what would be redacted by default.
    names: HashMap<String, Option<Treatment>>,
    queries: HashMap<String, Treatment>,
    pub(super) pointers: Vec<(Glob, Treatment)>,
    key: Option<HmacKey>,
}

impl Redaction {
    /// Returns a builder that begins with what is redacted by default.
    pub fn builder() -> RedactionBuilder {
        RedactionBuilder::default()
    }

    /// Returns what becomes of the value of this name, if anything.
    pub(super) fn of_name(&self, name: &str) -> Option<Treatment> {
        self.of_name_like(name, names::is_secret)
    }

    /// Returns what becomes of the value of this name in prose, if anything.
    pub(super) fn of_name_in_prose(&self, name: &str) -> Option<Treatment> {
        self.of_name_like(name, names::is_secret_in_prose)
    }

    /// Returns what becomes of the value of this path parameter, if anything. One that is a target says which
    /// resource it is, and only what was asked for is redacted.
    pub(super) fn of_parameter_name(&self, name: &str, is_target: bool) -> Option<Treatment> {
        self.of_name_like(name, |normal| {
            !is_target && names::is_secret_parameter(normal)
        })
    }

    fn of_name_like(&self, name: &str, is_secret: impl Fn(&str) -> bool) -> Option<Treatment> {
        let of = |normal: &str| match self.rules.names.get(normal) {
            Some(treatment) => Some(*treatment),
            None => is_secret(normal).then_some(Some(Treatment::Mask)),
        };
        let by_word = || {
            let word = names::last_word(name).filter(|word| names::is_secret_word(word))?;
            is_secret(&word).then_some(Some(Treatment::Mask))
        };
        let whole = of(&names::normal(name));
        let found = whole.or_else(|| of(&names::last_part(name)?));
        found.or_else(by_word).flatten()
    }

    /// Returns what becomes of the value of this query parameter, if anything.
    pub(super) fn of_query(&self, name: &str) -> Option<Treatment> {
        let of = |normal: &str| self.rules.queries.get(normal).copied();
        let special = of(&names::normal(name));
        let special = special.or_else(|| of(&names::last_part(name)?));
        special.or_else(|| self.of_name(name))
    }

    /// Returns what stands in the place of a value, or `None` if nothing does.
    pub(super) fn treat(&self, treatment: Treatment, value: &str) -> Option<String> {
        match treatment {
            Treatment::Drop => None,
            Treatment::Mask => Some(MASK.to_owned()),
            Treatment::Hmac => {
                // It is not built without a key.
                let hash = self.rules.key.as_ref().map(|key| key.hash(value));
                Some(hash.unwrap_or_else(|| MASK.to_owned()))
            }
        }
    }
}

/// Builds a [`Redaction`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct RedactionBuilder {
    names: Vec<(String, Option<Treatment>)>,
    queries: Vec<(String, Treatment)>,
    pointers: Vec<(String, Treatment)>,
    key: Option<HmacKey>,
}

impl RedactionBuilder {
    /// Adds a name: of a key in a body at any depth, of a query parameter, of a header, of a path parameter.
    /// Case and punctuation do not matter. It goes before what is redacted by default, and what is said last
    /// counts. A pointer goes before a name.
    pub fn name(mut self, name: impl Into<String>, treatment: Treatment) -> Self {
        self.names.push((name.into(), Some(treatment)));
        self
    }

    /// Takes a name out of what is redacted by default, such as `token_count`.
    pub fn dangerously_allow(mut self, name: impl Into<String>) -> Self {
        self.names.push((name.into(), None));
        self
    }

    /// Adds a place in request and response bodies: a JSON pointer (RFC 6901), in which `*` stands for one key
    /// or index and `**` for any number of them. `/users/*/email`, `/**/address`.
    pub fn pointer(mut self, pattern: impl Into<String>, treatment: Treatment) -> Self {
        self.pointers.push((pattern.into(), treatment));
        self
    }

    /// Adds the name of a query parameter. Case and punctuation do not matter.
    pub fn query(mut self, name: impl Into<String>, treatment: Treatment) -> Self {
        self.queries.push((name.into(), treatment));
        self
    }

    /// Sets the key for [`Treatment::Hmac`]. Defaults to none.
    pub fn hmac_key(mut self, key: HmacKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Returns the redaction.
    ///
    /// # Errors
    ///
    /// Returns an error if a pattern is none, a name has neither letters nor digits, or something is to be
    /// hashed and there is no key.
    pub fn build(self) -> Result<Redaction, RedactionError> {
        let mut treatments = self.treatments();
        if self.key.is_none() && treatments.any(|treatment| treatment == Treatment::Hmac) {
            return Err(RedactionError::NoKey);
        }
        drop(treatments);
        let named = |name: String| match names::normal(&name) {
            normal if normal.is_empty() => Err(RedactionError::NoName(name)),
            normal => Ok(normal),
        };
        let mut rules = Rules {
            key: self.key,
            ..Rules::default()
        };
        for (name, treatment) in self.names {
            rules.names.insert(named(name)?, treatment);
        }
        for (name, treatment) in self.queries {
            rules.queries.insert(named(name)?, treatment);
        }
        for (pattern, treatment) in self.pointers {
            let glob = Glob::parse(&pattern, unescape);
            let glob = glob.map_err(|error| RedactionError::NoPointer(pattern, error.to_string()));
            // As for names, what was said last counts.
            rules.pointers.insert(0, (glob?, treatment));
        }
        Ok(Redaction {
            rules: Arc::new(rules),
        })
    }

    fn treatments(&self) -> impl Iterator<Item = Treatment> {
        let names = self.names.iter().filter_map(|(_, treatment)| *treatment);
        let queries = self.queries.iter().map(|(_, treatment)| *treatment);
        let pointers = self.pointers.iter().map(|(_, treatment)| *treatment);
        names.chain(queries).chain(pointers)
    }
}

/// RFC 6901, section 4.
fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// Why [`RedactionBuilder::build`] refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedactionError {
    /// Something is to be hashed, and there is no key.
    #[error("something is to be hashed, and there is no key for it: set one by `hmac_key`")]
    NoKey,
    /// The pattern is none.
    #[error("{0:?} is no pattern of a JSON pointer: {1}")]
    NoPointer(String, String),
    /// The name has neither letters nor digits.
    #[error("{0:?} is no name: it has neither letters nor digits")]
    NoName(String),
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "drop",
            Self::Mask => "mask",
            Self::Hmac => "hmac",
        })
    }
}

pub(super) const MASK: &str = "[redacted]";
