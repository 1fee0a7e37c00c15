//! What became visible since one looked.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::event::{AuditEvent, EventId};

/// What became visible since a position.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tail {
    /// The events, each with the position after it.
    pub events: Vec<(AuditEvent, TailPosition)>,
    /// Where to go on.
    pub position: TailPosition,
    /// There was more than fits: ask again at once.
    pub has_more: bool,
}

impl Tail {
    /// Returns the answer.
    #[must_use]
    pub fn new(
        events: Vec<(AuditEvent, TailPosition)>,
        position: TailPosition,
        has_more: bool,
    ) -> Self {
        Self {
            events,
            position,
            has_more,
        }
    }
}

/// Which events were seen, in the order in which they were written.
///
/// Each event has a number that tells in which order it was written; many may share one. Numbers do not become
/// visible in order: a transaction that began early may end late. So a position knows the number up to which
/// everything was seen, and those before it that were still open. It is opaque text for whoever holds it, and may be
/// kept for as long as the rows are.
///
/// ```
/// use tower_audit_core::store::TailPosition;
///
/// let position = TailPosition::new(20, [11, 17]);
/// assert!(position.has_seen(12, uuid_7()) && !position.has_seen(11, uuid_7()));
/// assert!(!position.has_seen(20, uuid_7()));
/// assert_eq!(position.to_string().parse(), Ok(position));
/// # fn uuid_7() -> tower_audit_core::EventId { tower_audit_core::EventId::now() }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailPosition {
    /// Everything before this number was seen,
    next: u64,
    /// but for these,
    open: BTreeSet<u64>,
    /// and of this number everything up to this event.
    within: Option<(u64, EventId)>,
}

impl TailPosition {
    /// Returns the position at which every number before `next` was seen, but for those that are `open`.
    #[must_use]
    pub fn new(next: u64, open: impl IntoIterator<Item = u64>) -> Self {
        Self {
            next,
            open: open.into_iter().filter(|number| *number < next).collect(),
            within: None,
        }
    }

    /// Returns the first number of which nothing was seen.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns the numbers before [`next`](Self::next) that were not seen.
    pub fn open(&self) -> impl Iterator<Item = u64> {
        self.open.iter().copied()
    }

    /// Returns the number of which only a part was seen, and the last event of that part.
    #[must_use]
    pub fn within(&self) -> Option<(u64, EventId)> {
        self.within
    }

    /// Returns whether an event of this number was seen.
    #[must_use]
    pub fn has_seen(&self, number: u64, id: EventId) -> bool {
        match self.within {
            Some((within, last)) if within == number => id <= last,
            _ => number < self.next && !self.open.contains(&number),
        }
    }

    /// Returns the position after an event. `now` is what was visible when the events were asked for; they come
    /// in the order of number and id, but first the rest of the number of which a part was seen.
    #[must_use]
    pub fn after(&self, number: u64, id: EventId, now: &Self) -> Self {
        let mut after = self.clone();
        match self.within {
            Some((within, _)) if within == number => {
                after.within = Some((number, id));
                return after;
            }
            Some((seen, _)) => after = after.completed(seen, now),
            None => {}
        }
        after.within = Some((number, id));
        after.reach(number, now);
        // Those before it were seen, unless they are open still.
        after
            .open
            .retain(|open| *open > number || now.open.contains(open));
        if number < after.next {
            // But for a part of it.
            after.open.insert(number);
        }
        after
    }

    /// Returns the position at which all of a number was seen, of which it was a part before.
    #[must_use]
    pub fn completed(mut self, number: u64, now: &Self) -> Self {
        self.reach(number.saturating_add(1), now);
        self.open.remove(&number);
        self.within = None;
        self
    }

    /// Goes on to a number; what was open between stays so.
    fn reach(&mut self, number: u64, now: &Self) {
        if number > self.next {
            self.open.extend(now.open.range(self.next..number));
            self.next = number;
        }
    }
}

impl fmt::Display for TailPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}{:x}", self.next)?;
        for open in &self.open {
            write!(f, ".{open:x}")?;
        }
        if let Some((number, id)) = self.within {
            write!(f, "-{number:x}.{}", id.as_uuid().simple())?;
        }
        Ok(())
    }
}

impl FromStr for TailPosition {
    type Err = ParseTailPositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let is_plain = text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            // What the stores number with has a sign.
            let most = i64::MAX.unsigned_abs();
            u64::from_str_radix(text, 16)
                .ok()
                .filter(|number| is_plain && *number <= most)
        };
        let parse = || {
            let text = text
                .strip_prefix(VERSION)
                .filter(|text| text.len() <= MAX_BYTES)?;
            let (numbers, within) = match text.split_once('-') {
                None => (text, None),
                Some((numbers, within)) => {
                    let (within, id) = within.split_once('.')?;
                    let id = Uuid::try_parse(id).ok().filter(|_| id.len() == 32)?;
                    (numbers, Some((number(within)?, EventId::from_uuid(id))))
                }
            };
            let mut numbers = numbers.split('.').map(number);
            let next = numbers.next()??;
            let open = numbers.collect::<Option<BTreeSet<_>>>()?;
            open.iter()
                .all(|open| *open < next)
                .then_some(Self { next, open, within })
        };
        parse().ok_or(ParseTailPositionError(()))
    }
}

impl Serialize for TailPosition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TailPosition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The text is not a position that this version made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the position is not one that this version made: begin again without one")]
pub struct ParseTailPositionError(());

/// The first character of a position names its form.
const VERSION: &str = "1";

/// More transactions than Postgres has connections are not open at once.
const MAX_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u64) -> EventId {
        EventId::from_uuid(Uuid::from_u128(number.into()))
    }

    #[test]
    fn text_that_is_no_position_is_refused() {
        for text in [
            "",
            "1",
            "2a",
            "1x",
            "1a.",
            "1a.b",
            "1-",
            "1a-1",
            "1a-1.2",
            "1+1",
            "1ffffffffffffffff",
        ] {
            assert_eq!(
                text.parse::<TailPosition>(),
                Err(ParseTailPositionError(())),
                "{text}"
            );
        }
    }

    proptest! {
        /// Transactions write one to three events each and end in any order, while somebody reads now and
        /// then, a few at a time: everything is seen once.
        #[test]
        fn whatever_order_transactions_end_in_each_event_is_seen_once(
            rows in prop::collection::vec(1_u64..4, 1..12),
            ends in prop::collection::vec(any::<prop::sample::Index>(), 12),
            sizes in prop::collection::vec(1_usize..5, 64),
        ) {
            let mut open: Vec<u64> = (0..u64::try_from(rows.len()).unwrap()).collect();
            let mut visible: Vec<(u64, EventId)> = Vec::new();
            let (mut seen, mut position, mut sizes) = (Vec::new(), TailPosition::default(), sizes.into_iter().cycle());
            for end in ends {
                if !open.is_empty() {
                    let number = open.remove(end.index(open.len()));
                    let count = rows[usize::try_from(number).unwrap()];
                    visible.extend((0..count).map(|n| (number, id(n))));
                }
                // Numbers after the highest that ended were not given out yet.
                let next = visible.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
                let now = TailPosition::new(next, open.iter().copied());
                let mut new: Vec<_> = visible.iter().copied().filter(|(number, id)| !position.has_seen(*number, *id)).collect();
                new.sort_unstable_by_key(|(number, id)| (position.within().is_none_or(|(within, _)| within != *number), *number, *id));
                let size = sizes.next().unwrap();
                let is_all = new.len() <= size;
                new.truncate(size);
                for (number, id) in new {
                    seen.push((number, id));
                    position = position.after(number, id, &now);
                    prop_assert_eq!(position.to_string().parse::<TailPosition>().unwrap(), position.clone());
                }
                if is_all {
                    position = now;
                }
            }
            loop {
                let now = TailPosition::new(visible.iter().map(|(number, _)| number + 1).max().unwrap_or(0), open.iter().copied());
                let mut new: Vec<_> = visible.iter().copied().filter(|(number, id)| !position.has_seen(*number, *id)).collect();
                new.sort_unstable_by_key(|(number, id)| (position.within().is_none_or(|(within, _)| within != *number), *number, *id));
                let Some((number, id)) = new.first().copied() else { break };
                seen.push((number, id));
                position = position.after(number, id, &now);
            }
            seen.sort_unstable();
            visible.sort_unstable();
            prop_assert_eq!(seen, visible);
        }
    }
}
