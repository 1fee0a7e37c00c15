//! What the database has another way than the migrations make it.

use std::{collections::BTreeMap, fmt};

/// Something that the database has another way than the migrations make it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drift {
    /// What it is, such as `index idx_audit_logs_action`.
    pub object: String,
    /// What the migrations make, or `None` for what they do not make.
    pub expected: Option<String>,
    /// What there is, or `None` if it is missing.
    pub found: Option<String>,
}

impl Drift {
    /// Returns `true` for what somebody added, which is not wrong by itself.
    #[must_use]
    pub fn is_addition(&self) -> bool {
        self.expected.is_none()
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => {
                write!(f, "{object} is `{found}`, and should be `{expected}`")
            }
            (Some(expected), None) => write!(f, "{object} is missing: `{expected}`"),
            (None, _) => write!(f, "{object} was added by somebody"),
        }
    }
}

/// A table, a column, an index and so on: its object, and how it is defined.
pub(super) type Objects = BTreeMap<String, String>;

/// Compares what there is with what is expected; what is optional need not be there.
pub(super) fn compare(expected: &Objects, optional: &Objects, found: &Objects) -> Vec<Drift> {
    let mut drift = Vec::new();
    for (object, definition) in expected.iter().chain(optional) {
        let there = found.get(object);
        let is_as_it_should = match there {
            Some(there) => there == definition,
            None => !expected.contains_key(object),
        };
        if !is_as_it_should {
            drift.push(Drift {
                object: object.clone(),
                expected: Some(definition.clone()),
                found: there.cloned(),
            });
        }
    }
    let is_known = |object: &str| expected.contains_key(object) || optional.contains_key(object);
    for (object, definition) in found.iter().filter(|(object, _)| !is_known(object)) {
        drift.push(Drift {
            object: object.clone(),
            expected: None,
            found: Some(definition.clone()),
        });
    }
    drift
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(pairs: &[(&str, &str)]) -> Objects {
        let owned =
            |(object, definition): &(&str, &str)| ((*object).to_owned(), (*definition).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn what_is_missing_changed_or_added_is_told_apart() {
        let expected = objects(&[("index a", "x"), ("index b", "y"), ("index c", "z")]);
        let optional = objects(&[("index d", "v"), ("index e", "w")]);
        let found = objects(&[
            ("index a", "x"),
            ("index b", "other"),
            ("index e", "w"),
            ("index f", "mine"),
        ]);
        let drift = compare(&expected, &optional, &found);
        let said: Vec<_> = drift.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "index b is `other`, and should be `y`",
                "index c is missing: `z`",
                "index f was added by somebody",
            ]
        );
        assert_eq!(drift.iter().filter(|drift| drift.is_addition()).count(), 1);
    }
}
