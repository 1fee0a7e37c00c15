//! Says the same thing only once a period.

use std::time::Duration;

use tokio::time::Instant;

/// Lets one line a period through, and counts the ones it held back.
#[derive(Debug, Default)]
pub(super) struct Once {
    last: Option<Instant>,
    held_back: u64,
}

impl Once {
    /// Returns how many lines were held back since the last one, if a line is due.
    pub(super) fn due(&mut self, now: Instant, period: Duration) -> Option<u64> {
        if self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < period)
        {
            self.held_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_period_is_let_through_with_the_count_of_the_others() {
        let (start, period) = (Instant::now(), Duration::from_secs(30));
        let mut once = Once::default();
        assert_eq!(once.due(start, period), Some(0));
        assert_eq!(once.due(start + Duration::from_secs(1), period), None);
        assert_eq!(once.due(start + Duration::from_secs(29), period), None);
        assert_eq!(once.due(start + period, period), Some(2));
    }
}
