//! Turns pending records that nobody completed into unknown ones.

use std::time::Duration;

use chrono::Utc;
use tokio::time::{sleep, timeout};

use super::{
    deliver::{Courier, caught},
    record::Record,
};
use crate::store::EventWriter;

impl<R: Record, W: EventWriter<R>> Courier<R, W> {
    /// Looks for them from time to time, once somebody makes pending records. Never ends.
    pub(super) async fn reap(&self) {
        self.queue.until_reaping().await;
        let age = self.settings.pending_timeout;
        loop {
            let before = chrono::TimeDelta::from_std(age)
                .ok()
                .and_then(|age| Utc::now().checked_sub_signed(age));
            let reap = async {
                match before {
                    Some(before) => self.writer.reap(before).await,
                    None => Ok(0),
                }
            };
            let reaped = match timeout(self.settings.write_timeout, caught(reap)).await {
                Ok(Ok(reaped)) => reaped,
                Ok(Err(error)) => {
                    self.trouble.not_reaped(&error);
                    0
                }
                Err(_) => 0,
            };
            if reaped > 0 {
                self.queue.count(|counts| counts.reaped += reaped);
                tracing::warn!(reaped, "audit records stayed pending and are unknown now");
                continue;
            }
            sleep((age / 10).clamp(MIN_PERIOD, MAX_PERIOD)).await;
        }
    }
}

const MIN_PERIOD: Duration = Duration::from_secs(1);
const MAX_PERIOD: Duration = Duration::from_secs(60);
