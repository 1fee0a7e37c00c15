//! English plurals, as far as resource names need them.

use std::borrow::Cow;

/// Returns the singular of a resource name, or `None` if the word is no plural.
pub(super) fn singular(word: &str) -> Option<Cow<'_, str>> {
    let (start, last) = word
        .rfind('_')
        .map_or(("", word), |at| word.split_at(at + 1));
    if SAME.contains(&last) {
        return Some(Cow::Borrowed(word));
    }
    if let Some((_, one)) = IRREGULAR.iter().find(|(many, _)| *many == last) {
        return Some(Cow::Owned(format!("{start}{one}")));
    }
    let stem = word.strip_suffix('s')?;
    if ["s", "u", "i"].iter().any(|end| stem.ends_with(end)) || stem.is_empty() {
        return None;
    }
    if let Some(stem) = stem.strip_suffix("ie").filter(|stem| stem.len() > 1) {
        return Some(Cow::Owned(format!("{stem}y")));
    }
    let sibilant = ["sse", "xe", "che", "she", "zze"]
        .iter()
        .any(|end| stem.ends_with(end));
    Some(Cow::Borrowed(if sibilant {
        &stem[..stem.len() - 1]
    } else {
        stem
    }))
}

/// Where the rules above would go wrong, among words that name resources.
const IRREGULAR: &[(&str, &str)] = &[
    ("people", "person"),
    ("children", "child"),
    ("men", "man"),
    ("women", "woman"),
    ("criteria", "criterion"),
    ("indices", "index"),
    ("vertices", "vertex"),
    ("matrices", "matrix"),
    ("analyses", "analysis"),
    ("statuses", "status"),
    ("aliases", "alias"),
    ("buses", "bus"),
    ("bonuses", "bonus"),
    ("campuses", "campus"),
    ("viruses", "virus"),
    ("canvases", "canvas"),
    ("caches", "cache"),
    ("movies", "movie"),
    ("cookies", "cookie"),
    ("calories", "calorie"),
];

const SAME: &[&str] = &["series", "news", "species"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_become_singular() {
        for (many, one) in [
            ("projects", "project"),
            ("api_keys", "api_key"),
            ("policies", "policy"),
            ("addresses", "address"),
            ("boxes", "box"),
            ("batches", "batch"),
            ("houses", "house"),
            ("databases", "database"),
            ("user_statuses", "user_status"),
            ("people", "person"),
            ("series", "series"),
            ("ties", "tie"),
        ] {
            assert_eq!(singular(many).as_deref(), Some(one), "{many}");
        }
    }

    #[test]
    fn other_words_are_no_plurals() {
        for word in ["archive", "address", "status", "analysis", "login", "s", ""] {
            assert_eq!(singular(word), None, "{word}");
        }
    }
}
