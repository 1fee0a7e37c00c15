//! What a search may be made of, for the list below the search box.

use tower_audit_core::{
    search::{Field, FieldKind},
    store::can_be_grouped,
};

/// The beginning of a term, or a whole one.
#[derive(Debug)]
pub(super) struct Pick {
    pub(super) text: String,
    pub(super) about: &'static str,
    /// Its values can be counted, so that the most frequent ones complete it.
    pub(super) is_counted: bool,
}

/// Returns what a term may begin with, the most wanted first.
pub(super) fn picks() -> impl Iterator<Item = Pick> {
    Field::ALL.iter().flat_map(|field| {
        let has_words = field.kind() == FieldKind::Word;
        let key = Pick {
            text: match field.kind() {
                // It asks about what is in it.
                FieldKind::Json => format!("{}.", field.key()),
                _ => format!("{}:", field.key()),
            },
            about: field.about(),
            is_counted: can_be_grouped(*field) && !has_words,
        };
        let words = field.words().into_iter().map(|word| Pick {
            text: format!("{}:{word}", field.key()),
            about: field.about(),
            is_counted: false,
        });
        [key].into_iter().chain(words).chain(examples(*field))
    })
}

/// Forms that nobody guesses.
fn examples(field: Field) -> impl Iterator<Item = Pick> {
    let texts: &[(&str, &str)] = match field {
        Field::Created => &[
            ("created:today", "since midnight, UTC"),
            ("created:-1h..", "the last hour"),
            ("created:-24h..", "the last 24 hours"),
            ("created:-7d..", "the last 7 days"),
        ],
        Field::Outcome => &[("-outcome:success", "all that did not succeed")],
        Field::Status => &[
            ("status:4xx", "what the client did wrong"),
            ("status:5xx", "what the server did wrong"),
        ],
        Field::Duration => &[("duration:>1s", "slower than a second")],
        Field::Ip => &[("ip:10.0.0.0/8", "all addresses of a network")],
        Field::Action => &[("action:project.*", "all actions that begin so")],
        _ => &[],
    };
    texts.iter().map(|(text, about)| Pick {
        text: (*text).to_owned(),
        about,
        is_counted: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_audit_core::Filter;

    #[test]
    fn whatever_is_offered_is_understood() {
        for pick in picks() {
            let key = pick.text.strip_suffix(['.', ':']);
            let is_understood = key.is_some_and(|key| Field::named(key).is_some())
                || pick.text.parse::<Filter>().is_ok();
            assert!(is_understood, "{}", pick.text);
        }
    }
}
