//! Moments and spans of time, as people write them. Without an offset they are in UTC.

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc,
};

use super::value::{digits, ranged};
use crate::search::Span;

/// The first and the last moment that can be asked for: the years 1 to 9999, in microseconds.
pub(in crate::search) const EARLIEST: i64 = -62_135_596_800_000_000;
pub(in crate::search) const LATEST: i64 = 253_402_300_800_000_000;

/// Parses a moment or a range of them.
pub(super) fn span(text: &str, now: DateTime<Utc>) -> Option<Span> {
    let moment = |text: &str| moment(text, now);
    let span = ranged(text, moment, moment)?;
    let is_known =
        |micros: Option<i64>| micros.is_none_or(|micros| (EARLIEST..=LATEST).contains(&micros));
    (is_known(span.from) && is_known(span.until)).then_some(span)
}

/// Parses what names a moment, and returns the span that it stands for: a year, a month, a day, a
/// minute, a second, or a microsecond.
fn moment(text: &str, now: DateTime<Utc>) -> Option<Span> {
    let today = now.date_naive();
    match text {
        "now" => return point(now),
        "today" => return days(today, today.checked_add_days(Days::new(1))?),
        "yesterday" => return days(today.checked_sub_days(Days::new(1))?, today),
        _ => {}
    }
    if let Some(ago) = text.strip_prefix('-') {
        return point(now.checked_sub_signed(age(ago)?)?);
    }
    match text.split_once(['T', 't']) {
        None => day(text),
        Some((date, rest)) => {
            let date = NaiveDate::parse_from_str(date, "%Y-%m-%d")
                .ok()
                .filter(|_| is_date(date))?;
            clock(date, rest)
        }
    }
}

/// Parses `2026`, `2026-11` and `2026-11-17`.
fn day(text: &str) -> Option<Span> {
    let parts: Vec<_> = text.split('-').collect();
    let year = |text: &str| {
        i32::try_from(digits(text)?)
            .ok()
            .filter(|_| text.len() == 4)
    };
    let part = |text: &str| small(text).filter(|_| text.len() == 2);
    match parts[..] {
        [y] => {
            let first = NaiveDate::from_ymd_opt(year(y)?, 1, 1)?;
            days(first, first.checked_add_months(Months::new(12))?)
        }
        [y, m] => {
            let first = NaiveDate::from_ymd_opt(year(y)?, part(m)?, 1)?;
            days(first, first.checked_add_months(Months::new(1))?)
        }
        [y, m, d] => {
            let first = NaiveDate::from_ymd_opt(year(y)?, part(m)?, part(d)?)?;
            days(first, first.checked_add_days(Days::new(1))?)
        }
        _ => None,
    }
}

/// Parses what stands behind the `T`: `09:30`, `09:30:15`, `09:30:15.25`, each with an offset or
/// without.
fn clock(date: NaiveDate, text: &str) -> Option<Span> {
    let zone = text.find(['Z', 'z', '+', '-']).unwrap_or(text.len());
    let (time, zone) = text.split_at(zone);
    let offset = offset(zone)?;
    let (whole, fraction) = match time.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (time, None),
    };
    let parts: Vec<_> = whole.split(':').collect();
    let part = |text: &str| small(text).filter(|_| text.len() == 2);
    let (time, unit) = match (&parts[..], fraction) {
        ([h, m], None) => (NaiveTime::from_hms_opt(part(h)?, part(m)?, 0)?, 60_000_000),
        ([h, m, s], None) => (
            NaiveTime::from_hms_opt(part(h)?, part(m)?, part(s)?)?,
            1_000_000,
        ),
        ([h, m, s], Some(fraction)) => {
            let places = u32::try_from(fraction.len())
                .ok()
                .filter(|places| (1..=6).contains(places))?;
            let unit = 10_u32.pow(6 - places);
            let micros = small(fraction)? * unit;
            (
                NaiveTime::from_hms_micro_opt(part(h)?, part(m)?, part(s)?, micros)?,
                i64::from(unit),
            )
        }
        _ => return None,
    };
    let from = NaiveDateTime::new(date, time).and_utc().timestamp_micros() - offset;
    Some(Span {
        from: Some(from),
        until: Some(from + unit),
    })
}

/// Parses `Z`, `+01:00` or nothing, as microseconds.
fn offset(text: &str) -> Option<i64> {
    let sign = match text.chars().next() {
        None => return Some(0),
        Some('Z' | 'z') => return (text.len() == 1).then_some(0),
        Some('-') => -1,
        Some(_) => 1,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let part = |text: &str, most: u32| small(text).filter(|n| text.len() == 2 && *n <= most);
    let minutes = i64::from(part(hours, 23)? * 60 + part(minutes, 59)?);
    Some(sign * minutes * 60_000_000)
}

/// Parses `90s`, `30m`, `24h`, `7d` and `2w`.
fn age(text: &str) -> Option<TimeDelta> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[number.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    TimeDelta::try_seconds(digits(number)?.checked_mul(seconds)?)
}

fn small(text: &str) -> Option<u32> {
    digits(text).and_then(|number| u32::try_from(number).ok())
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
}

fn days(from: NaiveDate, until: NaiveDate) -> Option<Span> {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
    (from.year() >= 1).then(|| Span {
        from: Some(midnight(from)),
        until: Some(midnight(until)),
    })
}

fn point(time: DateTime<Utc>) -> Option<Span> {
    let micros = time.timestamp_micros();
    Some(Span {
        from: Some(micros),
        until: Some(micros.checked_add(1)?),
    })
}
