//! Makes a filter of text.

mod lexer;
mod time;
mod value;

use std::ops::Range;

use chrono::{DateTime, Utc};

use self::lexer::{Lexer, Word};
use super::{Field, FieldKind, Match, SearchError, Term};

pub(super) use time::{EARLIEST, LATEST};

/// Parses the terms of a text, each with where it stands.
pub(super) fn terms(
    text: &str,
    now: DateTime<Utc>,
) -> Result<Vec<(Range<usize>, Term)>, SearchError> {
    let mut lexer = Lexer::new(text);
    if text.len() > MAX_BYTES {
        let problem = format!("a search has at most {MAX_BYTES} bytes, not {}", text.len());
        return Err(lexer.error(0..text.len(), problem, "leave something out"));
    }
    let mut terms: Vec<(Range<usize>, Term)> = Vec::new();
    while lexer.skip_space() {
        let start = lexer.at();
        let term = term(&mut lexer, now)?;
        if terms.len() == MAX_TERMS {
            let problem = format!("a search has at most {MAX_TERMS} terms");
            return Err(lexer.error(start..lexer.at(), problem, "leave something out"));
        }
        if let Some(other) = terms
            .iter()
            .map(|(_, term)| term)
            .find(|other| exclude(other, &term))
        {
            return Err(twice(&lexer, start, other, &term));
        }
        terms.push((start..lexer.at(), term));
    }
    Ok(terms)
}

/// Parses one term.
fn term(lexer: &mut Lexer<'_>, now: DateTime<Utc>) -> Result<Term, SearchError> {
    let is_negated = lexer.takes('-');
    let start = lexer.at();
    let word = lexer.bare(|_| false);
    if word.parse::<std::net::IpAddr>().is_ok() {
        return Err(stands_alone(lexer, start));
    }
    lexer.rewind(start);
    let name = lexer.key();
    let span = start..lexer.at();
    if !lexer.peeks(':')
        && !(lexer.peeks('.') && (word.contains(':') || Field::named(name).is_some()))
    {
        return Err(stands_alone(lexer, start));
    }
    let field = Field::named(name).ok_or_else(|| unknown_key(lexer, span, name))?;
    let mut path = Vec::new();
    while lexer.takes('.') {
        path.push(segment(lexer, field)?);
    }
    if !lexer.takes(':') {
        let here = lexer.at()..lexer.at();
        return Err(lexer.error(
            here,
            "a value is missing",
            &format!("write {}:…", field.key()),
        ));
    }
    let any_of = values(lexer, field, &path, now)?;
    lexer.ends_here()?;
    Ok(Term {
        field,
        path,
        any_of,
        is_negated,
    })
}

/// Parses the values of a term.
fn values(
    lexer: &mut Lexer<'_>,
    field: Field,
    path: &[String],
    now: DateTime<Utc>,
) -> Result<Vec<Match>, SearchError> {
    let (start, mut any_of) = (lexer.at(), Vec::new());
    loop {
        if any_of.len() == MAX_VALUES {
            let here = start..lexer.at();
            let problem = format!("a term has at most {MAX_VALUES} values");
            return Err(lexer.error(here, problem, "ask for the others apart"));
        }
        let value = value::parse(lexer, field, path, now)?;
        if !any_of.contains(&value) {
            any_of.push(value);
        }
        if !lexer.takes(',') {
            return Ok(any_of);
        }
    }
}

/// Parses one key of a path into JSON.
fn segment(lexer: &mut Lexer<'_>, field: Field) -> Result<String, SearchError> {
    let start = lexer.at();
    let key = field.key();
    let segment = match lexer.quoted()? {
        Some(segment) => segment,
        None => lexer.bare(|c| c == '.' || c == ':').to_owned(),
    };
    let span = start..lexer.at();
    if field.kind() != FieldKind::Json {
        let problem = format!("`{key}` has no parts");
        return Err(lexer.error(
            span,
            problem,
            &format!("write {key}:…, or meta.key:… for what the app added"),
        ));
    }
    if segment.is_empty() {
        return Err(lexer.error(span, "a key is missing", &format!("write {key}.key:value")));
    }
    check_key(lexer, &span, &segment)?;
    Ok(segment)
}

/// Refuses a key that not every store can be asked for.
fn check_key(lexer: &Lexer<'_>, span: &Range<usize>, key: &str) -> Result<(), SearchError> {
    if key.contains(['"', '\\']) || key.chars().any(char::is_control) {
        return Err(lexer.error(
            span.clone(),
            "a key with a quote, a backslash or a control character cannot be asked for",
            "ask for something else",
        ));
    }
    Ok(())
}

fn unknown_key(lexer: &Lexer<'_>, span: Range<usize>, name: &str) -> SearchError {
    let meant = MEANT.iter().find(|(other, _)| *other == name);
    let near = Field::ALL
        .iter()
        .flat_map(|field| [field.key(), field.column()])
        .map(|key| (strsim::damerau_levenshtein(key, name), key))
        .filter(|(distance, key)| *distance <= 1 + key.len() / 4)
        .min();
    let near = meant.map(|(_, key)| (0, *key)).or(near);
    let hint = match near {
        Some((_, key)) => format!("did you mean `{key}`?"),
        None => {
            let keys: Vec<_> = Field::ALL.iter().map(|field| field.key()).collect();
            format!("the keys are {}", keys.join(", "))
        }
    };
    lexer.error(span, format!("there is no key `{}`", shown(name)), &hint)
}

/// What others call our keys.
const MEANT: [(&str, &str); 14] = [
    ("user", "actor"),
    ("who", "actor"),
    ("by", "actor"),
    ("email", "name"),
    ("verb", "action"),
    ("event", "action"),
    ("object", "target"),
    ("resource", "target"),
    ("result", "outcome"),
    ("since", "created"),
    ("after", "created"),
    ("before", "created"),
    ("time", "created"),
    ("date", "created"),
];

/// Says what a word without a key could have meant.
fn stands_alone(lexer: &mut Lexer<'_>, start: usize) -> SearchError {
    if let Some((problem, hint)) = other_syntax(lexer, start) {
        return lexer.error(start..lexer.at(), problem, &hint);
    }
    lexer.rewind(start);
    let word = match lexer.word() {
        Ok(Word { text, .. }) if !text.is_empty() => text.into_owned(),
        Ok(_) => {
            lexer.step();
            lexer.from(start).to_owned()
        }
        Err(error) => return error,
    };
    let keys: &[&str] = if word.parse::<std::net::IpAddr>().is_ok() {
        &["ip"]
    } else if word.parse::<crate::event::EventId>().is_ok() {
        &["id", "request"]
    } else if word.contains('.') && !word.contains(['@', '/']) {
        &["action", "target"]
    } else if word.starts_with('/') {
        &["path", "route"]
    } else {
        &["actor", "target", "action"]
    };
    let word = shown(&word);
    let hints: Vec<_> = keys.iter().map(|key| format!("{key}:{word}")).collect();
    lexer.error(
        start..lexer.at(),
        format!("`{word}` stands alone"),
        &format!("say what it is, such as {}", hints.join(" or ")),
    )
}

/// Recognises how other searches are written.
fn other_syntax(lexer: &mut Lexer<'_>, start: usize) -> Option<(String, String)> {
    lexer.rewind(start);
    let word = lexer.bare(|_| false);
    let either = "terms stand side by side, and all must hold; for one of two values write key:a,b";
    if matches!(
        word.to_ascii_uppercase().as_str(),
        "OR" | "AND" | "NOT" | "||" | "&&"
    ) {
        return Some((
            format!("there is no `{word}`"),
            format!("{either}, and -key:a for none"),
        ));
    }
    if word.starts_with('(') {
        return Some(("there are no parentheses".to_owned(), either.to_owned()));
    }
    if word.starts_with('-') {
        return Some((
            "there is one `-` too many".to_owned(),
            "write -key:value".to_owned(),
        ));
    }
    let (key, value) = word.split_once('=')?;
    let field = Field::named(key)?;
    let hint = format!("write {}:{}", field.key(), shown(value));
    Some((format!("`{}` stands alone", shown(word)), hint))
}

/// Says that the text is more than one term.
pub(super) fn no_value(text: &str) -> SearchError {
    Lexer::new(text).error(0..text.len(), "this is not one value", "leave the rest out")
}

/// Returns whether no event can pass both.
fn exclude(one: &Term, two: &Term) -> bool {
    let are_both = |one: &Match, two: &Match| match (one, two) {
        (Match::Is(_), Match::Is(_)) | (Match::Id(_), Match::Id(_)) => one == two,
        (Match::Within(one), Match::Within(two)) => {
            let both = one.and(*two);
            both.from
                .zip(both.until)
                .is_none_or(|(from, until)| from < until)
        }
        _ => true,
    };
    one.field == two.field
        && one.field.kind() != FieldKind::Json
        && !one.is_negated
        && !two.is_negated
        && !one
            .any_of
            .iter()
            .any(|one| two.any_of.iter().any(|two| are_both(one, two)))
}

fn twice(lexer: &Lexer<'_>, start: usize, one: &Term, two: &Term) -> SearchError {
    let both = Term {
        any_of: one.any_of.iter().chain(&two.any_of).cloned().collect(),
        ..one.clone()
    };
    let key = one.field.key();
    lexer.error(
        start..lexer.at(),
        format!("`{key}` cannot be this and what stands before it"),
        &format!("for either of them write {}", shown(&both.to_string())),
    )
}

/// Returns the text, short enough for a message.
fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The longest search, in bytes.
const MAX_BYTES: usize = 4_096;

/// The most terms of a search, and the most values of a term.
const MAX_TERMS: usize = 32;
const MAX_VALUES: usize = 32;
