//! One value of a term, as the kind of its field wants it.

use chrono::{DateTime, Utc};
use ipnet::{IpNet, Ipv4Net};
use serde_json::{Map, Value};

use super::{
    check_key,
    lexer::{Lexer, Word},
    shown, time,
};
use crate::{
    event::{Metadata, Text},
    search::{Field, FieldKind, Match, SearchError, Span},
};

pub(super) fn parse(
    lexer: &mut Lexer<'_>,
    field: Field,
    path: &[String],
    now: DateTime<Utc>,
) -> Result<Match, SearchError> {
    if field.kind() == FieldKind::Json && path.is_empty() && lexer.peeks('{') {
        return object(lexer);
    }
    let is_quoted = lexer.peeks('"');
    let word = lexer.word()?;
    if word.text.is_empty() && word.is_prefix {
        return Ok(Match::Known);
    }
    if word.text.is_empty() && !is_quoted {
        let key = field.key();
        let hint = format!("write {key}:value, {key}:\"\" for the empty text, or {key}:* for any");
        return Err(lexer.error(word.span, "a value is missing", &hint));
    }
    let is_text = match field.kind() {
        FieldKind::Text => true,
        FieldKind::Json => !path.is_empty(),
        _ => false,
    };
    let found = if is_text {
        text(&word, field, is_quoted)
    } else if word.is_prefix {
        let problem = format!("`{}` cannot be the beginning of one", shown(&word.text));
        Err((problem, "leave the `*` out".to_owned()))
    } else {
        other(&word.text, field, now)
            .map_err(|(problem, hint)| (format!("`{}` {problem}", shown(&word.text)), hint))
    };
    found.map_err(|(problem, hint)| lexer.error(word.span, problem, &hint))
}

/// What is wrong with a value, and what to write instead.
type Wrong = (String, String);

/// Parses a value of anything but text.
fn other(text: &str, field: Field, now: DateTime<Utc>) -> Result<Match, Wrong> {
    let is_no = |what: &str, hint: &str| (format!("is no {what}"), hint.to_owned());
    let within = |span: Option<Span>, what: &str, hint: &str| {
        let span = span.ok_or_else(|| is_no(what, hint))?;
        let (least, most) = match field.kind() {
            FieldKind::Time => (time::EARLIEST, time::LATEST),
            _ => (0, MOST),
        };
        if span.from.unwrap_or(least) >= span.until.unwrap_or(most) {
            let problem = "ends before it begins".to_owned();
            return Err((problem, "write the smaller one first".to_owned()));
        }
        Ok(Match::Within(span))
    };
    match field.kind() {
        FieldKind::Id => text
            .parse()
            .map(Match::Id)
            .map_err(|_| is_no("event id", ID_HINT)),
        FieldKind::Word => this_word(field, text),
        FieldKind::Number => within(number(text), "number", NUMBER_HINT),
        FieldKind::Duration => within(duration(text), "duration", DURATION_HINT),
        FieldKind::Time
            if text.starts_with('-') && !text.contains("..") && time::span(text, now).is_some() =>
        {
            let problem = "is a single moment".to_owned();
            Err((problem, format!("write {text}.. for all since then")))
        }
        FieldKind::Time => within(time::span(text, now), "time", TIME_HINT),
        FieldKind::Address => network(text)
            .map(Match::In)
            .ok_or_else(|| is_no("address", ADDRESS_HINT)),
        FieldKind::Text | FieldKind::Json => {
            let hint = format!(
                "write {0}.key:value, or {0}:{{\"key\": \"value\"}}",
                field.key()
            );
            Err(is_no("object", &hint))
        }
    }
}

fn text(word: &Word<'_>, field: Field, is_quoted: bool) -> Result<Match, Wrong> {
    if !is_quoted && field.kind() == FieldKind::Json && word.text.starts_with(['<', '>']) {
        return Err((
            "what the app added is compared as it is, not by its size".to_owned(),
            "put the text between quotes if the sign belongs to it".to_owned(),
        ));
    }
    if !is_quoted && word.text.contains('*') {
        return Err((
            "a `*` stands only at the end, for any text that begins so".to_owned(),
            "put the text between quotes if the star belongs to it".to_owned(),
        ));
    }
    // As clean as what is stored: what was replaced there is looked for here.
    let text = Text::from(&*word.text).as_str().to_owned();
    Ok(if word.is_prefix {
        Match::Prefix(text)
    } else {
        Match::Is(text)
    })
}

fn this_word(field: Field, text: &str) -> Result<Match, Wrong> {
    let words = field.words();
    if words.contains(&text) {
        return Ok(Match::Is(text.to_owned()));
    }
    let near = words
        .iter()
        .map(|word| (strsim::damerau_levenshtein(word, text), word))
        .min();
    let hint = match near {
        Some((distance, word)) if distance <= 2 => format!("did you mean `{word}`?"),
        _ => format!("it is {}", words.join(", ")),
    };
    Err(("is none of its words".to_owned(), hint))
}

fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpNet>() {
        // Addresses are kept in their own form.
        Ok(IpNet::V6(network)) => match (network.addr().to_ipv4_mapped(), network.prefix_len()) {
            (Some(address), length @ 96..) => Ipv4Net::new(address, length - 96).ok()?.into(),
            _ => network.into(),
        },
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<std::net::IpAddr>().ok()?.to_canonical()),
    };
    Some(network.trunc())
}

fn number(text: &str) -> Option<Span> {
    let exact = |text: &str| -> Option<Span> {
        if let Some(class) = text.strip_suffix("xx") {
            let class: u8 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
            return Some(between(
                i64::from(class) * 100,
                i64::from(class) * 100 + 100,
            ));
        }
        let number = digits(text)?;
        Some(between(number, number + 1))
    };
    ranged(text, exact, exact)
}

fn duration(text: &str) -> Option<Span> {
    let parts = |text: &str| -> Option<(i64, i64)> {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &text[number.len()..] {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            _ => return None,
        };
        let micros = digits(number)?.checked_mul(unit)?;
        Some((micros, unit)).filter(|_| micros < MOST)
    };
    // Alone, `5ms` is anything that took five and a bit; as an end it is a point.
    let alone = |text: &str| parts(text).map(|(micros, unit)| between(micros, micros + unit));
    let point = |text: &str| parts(text).map(|(micros, _)| between(micros, micros + 1));
    ranged(text, alone, point)
}

/// Parses `a`, `a..b`, `a..`, `..b`, `>a`, `>=a`, `<b` and `<=b`, where each end stands for a span.
pub(super) fn ranged(
    text: &str,
    alone: impl Fn(&str) -> Option<Span>,
    end: impl Fn(&str) -> Option<Span>,
) -> Option<Span> {
    let open = Span::default();
    let from = |from: Option<i64>| Span { from, ..open };
    let until = |until: Option<i64>| Span { until, ..open };
    if let Some(text) = text.strip_prefix(">=") {
        return Some(from(end(text)?.from));
    }
    if let Some(text) = text.strip_prefix("<=") {
        return Some(until(end(text)?.until));
    }
    if let Some(text) = text.strip_prefix('>') {
        return Some(from(end(text)?.until));
    }
    if let Some(text) = text.strip_prefix('<') {
        return Some(until(end(text)?.from));
    }
    let Some((first, last)) = text.split_once("..") else {
        return alone(text);
    };
    match (first, last) {
        ("", "") => None,
        ("", last) => Some(until(end(last)?.until)),
        (first, "") => Some(from(end(first)?.from)),
        (first, last) => Some(Span {
            from: end(first)?.from,
            until: end(last)?.until,
        }),
    }
}

/// Parses a whole number without a sign, smaller than [`MOST`].
pub(super) fn digits(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.filter(|number| *number < MOST)
}

/// The first number that cannot be asked for.
const MOST: i64 = 1_000_000_000_000_000;

fn between(from: i64, until: i64) -> Span {
    Span {
        from: Some(from),
        until: Some(until),
    }
}

/// Parses a JSON object.
fn object(lexer: &mut Lexer<'_>) -> Result<Match, SearchError> {
    let (start, rest) = (lexer.at(), lexer.rest());
    let mut objects = serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>();
    let Some(Ok(object)) = objects.next() else {
        let end = start + rest.len();
        return Err(lexer.error(
            start..end,
            "this is no JSON object, or one with a number that is too large, or too much inside of one another",
            "write one such as {\"plan\": \"pro\"}",
        ));
    };
    let length = objects.byte_offset();
    lexer.advance(length);
    let span = start..lexer.at();
    // As clean as what is stored.
    let cleaned = Metadata::from(object).as_map().clone();
    if cleaned.is_empty() {
        return Err(lexer.error(
            span,
            "an empty object asks for nothing",
            "name a key, such as {\"plan\": \"pro\"}",
        ));
    }
    check_members(lexer, &span, &cleaned)?;
    Ok(Match::Contains(cleaned))
}

/// Refuses what not every store can be asked for.
fn check_members(
    lexer: &Lexer<'_>,
    span: &std::ops::Range<usize>,
    object: &Map<String, Value>,
) -> Result<(), SearchError> {
    for (key, value) in object {
        check_key(lexer, span, key)?;
        match value {
            Value::Object(inner) => check_members(lexer, span, inner)?,
            Value::Array(items) if items.iter().any(|item| item.is_array() || item.is_object()) => {
                return Err(lexer.error(
                    span.clone(),
                    "a list of lists or objects cannot be asked for",
                    "ask for their texts and numbers",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

const ID_HINT: &str = "it is a UUID, such as 019a9e3c-7d2e-7c4b-8f00-0123456789ab";
const NUMBER_HINT: &str = "write 404, 4xx, 400..499 or >=500";
const DURATION_HINT: &str = "write a whole number and us, ms, s, m or h, such as >500ms or 1s..2s";
const ADDRESS_HINT: &str = "write one, such as 192.0.2.1, or a network, such as 10.0.0.0/8";
const TIME_HINT: &str = "write a day such as 2026-11-17, a time such as 2026-11-17T09:30Z, a range such as \
     2026-11-01..2026-11-17 or 2026-11-01.., or one up to now such as -24h..";
