//! Never two at once: what would show that they were.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::seen::{Deletion, Sample, Seen, Take};

/// Returns what must not be.
pub(super) fn violations(seen: &Seen) -> Vec<String> {
    let takes: BTreeMap<i64, &Take> = seen.takes.iter().map(|take| (take.token, take)).collect();
    let mut violations = of_takes(&seen.takes);
    violations.extend(of_samples(&seen.samples, &takes));
    let sightings = sightings(&seen.samples);
    let tokens = seen.deletions.iter().map(|deletion| deletion.token);
    violations.extend(backwards("the deletions", tokens));
    for deletion in &seen.deletions {
        let wrong = of_deletion(deletion, &takes, &sightings);
        violations.extend(wrong.map(|wrong| format!("{} {wrong}", shown(deletion))));
    }
    violations
}

/// Each token is taken once, after the one before, and after the lease of that was over.
fn of_takes(takes: &[Take]) -> Vec<String> {
    let tokens = takes.iter().map(|take| take.token);
    let mut violations = backwards("the leases that were taken", tokens);
    for pair in takes.windows(2) {
        if pair[0].token == pair[1].token {
            let (token, one, other) = (pair[0].token, &pair[0].child, &pair[1].child);
            violations.push(format!("{one} and {other} have taken token {token}"));
        }
    }
    let early = takes.iter().filter(|take| take.at < take.lease_before);
    violations.extend(early.map(|take| {
        let Take {
            at,
            child,
            token,
            lease_before,
            ..
        } = take;
        format!(
            "{child} took token {token} at {at}, and somebody had the lease until {lease_before}"
        )
    }));
    violations
}

/// Whoever looks sees tokens grow, and each one with the name of the process that took it.
fn of_samples(samples: &[Sample], takes: &BTreeMap<i64, &Take>) -> Vec<String> {
    let tokens = samples.iter().map(|sample| sample.token);
    let mut violations = backwards("the looks at the lease", tokens);
    // Nobody has taken it before the first one does.
    for sample in samples.iter().filter(|sample| sample.token > 0) {
        let Sample {
            at, token, holder, ..
        } = sample;
        match takes.get(token) {
            Some(take) if take.holder == *holder => {}
            Some(take) => violations.push(format!(
                "at {at} {holder} had token {token}, which {} took",
                take.holder
            )),
            None => violations.push(format!(
                "at {at} {holder} had token {token}, which nobody took"
            )),
        }
    }
    violations
}

/// Who deletes has taken the lease, and nobody has taken it since.
fn of_deletion(
    deletion: &Deletion,
    takes: &BTreeMap<i64, &Take>,
    sightings: &BTreeMap<i64, DateTime<Utc>>,
) -> Option<String> {
    let Some(take) = takes.get(&deletion.token) else {
        return Some("with a token that nobody took".to_owned());
    };
    if take.child != deletion.child {
        return Some(format!("with a token that {} took", take.child));
    }
    if deletion.at < take.at {
        return Some(format!("before it took the lease at {}", take.at));
    }
    let later = deletion.token + 1..;
    if let Some((token, next)) = takes.range(later.clone()).next()
        && next.at <= deletion.at
    {
        let Take { at, child, .. } = next;
        return Some(format!("after {child} took token {token} at {at}"));
    }
    if let Some((token, seen_at)) = sightings.range(later).next()
        && *seen_at <= deletion.at
    {
        return Some(format!("after token {token} was seen at {seen_at}"));
    }
    None
}

/// Returns when each token was seen first.
fn sightings(samples: &[Sample]) -> BTreeMap<i64, DateTime<Utc>> {
    let mut sightings = BTreeMap::new();
    for sample in samples {
        sightings.entry(sample.token).or_insert(sample.at);
    }
    sightings
}

/// Says where tokens, in the order of their time, go back.
fn backwards(whose: &str, tokens: impl Iterator<Item = i64> + Clone) -> Vec<String> {
    let pairs = tokens.clone().zip(tokens.skip(1));
    let back = pairs.filter(|(before, after)| after < before);
    back.map(|(before, after)| format!("{whose} go back from token {before} to {after}"))
        .collect()
}

fn shown(deletion: &Deletion) -> String {
    let Deletion {
        at,
        pid,
        xid,
        child,
        token,
        rows,
    } = deletion;
    format!(
        "{child} deleted {rows} rows at {at} (connection {pid}, transaction {xid}, token {token})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease_race::seen::tests::{at, deletion, lease_until, race, take};

    fn two_in_turn() -> Seen {
        let mut seen = race(10_000);
        seen.takes = vec![take(1, 100, "a.1"), take(2, 2_000, "b.1")];
        seen.deletions = vec![deletion(1, 200, "a.1"), deletion(2, 2_100, "b.1")];
        let mut looks = [lease_until(150, 1, 1_900), lease_until(2_050, 2, 4_000)];
        looks[0].holder = "a.1".to_owned();
        looks[1].holder = "b.1".to_owned();
        seen.samples = looks.into();
        seen
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Seen), expected: &[&str]) {
        let mut seen = two_in_turn();
        change(&mut seen);
        let found = violations(&seen);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn one_after_the_other_is_well() {
        check(|_| {}, &[]);
    }

    #[test]
    fn one_that_wakes_up_and_deletes_under_the_token_of_another_is_found() {
        check(
            |seen| seen.deletions.push(deletion(2, 2_200, "a.1")),
            &["with a token that b.1 took"],
        );
    }

    #[test]
    fn one_that_deletes_with_its_token_after_another_took_it_is_found() {
        check(
            |seen| seen.deletions.push(deletion(1, 2_200, "a.1")),
            &["from token 2 to 1", "after b.1 took token 2"],
        );
    }

    #[test]
    fn one_that_deletes_after_the_next_token_was_seen_is_found() {
        check(
            |seen| seen.samples[1].at = at(150),
            &["after token 2 was seen"],
        );
    }

    #[test]
    fn one_that_takes_what_is_not_over_is_found() {
        check(
            |seen| seen.takes[1].lease_before = at(2_001),
            &["somebody had the lease until"],
        );
    }

    #[test]
    fn two_that_have_the_same_token_are_found() {
        check(
            |seen| {
                seen.takes[1].token = 1;
                seen.deletions.clear();
                seen.samples.clear();
            },
            &["a.1 and b.1 have taken token 1"],
        );
    }
}
