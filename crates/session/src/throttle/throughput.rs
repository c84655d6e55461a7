//! The bytes of one direction of a connection.

use std::time::Duration;

use dialect::Rate;
use identity::Timestamp;

use super::Bucket;
use crate::mutation::{self, Mutation};

/// Bytes in one direction. What goes beyond the rate is delayed: nothing more is moved until the bucket owes nothing.
#[derive(Debug, Default)]
pub struct Throughput {
    bucket: Bucket,
    paused_until: Option<Timestamp>,
    told: Timestamp,
}

impl Throughput {
    /// Nothing is moved until [`Self::next`].
    #[inline]
    pub fn is_paused(&self) -> bool {
        self.paused_until.is_some()
    }

    /// So many bytes were moved. True if this pauses the direction, and nobody was told in the last second.
    #[inline]
    pub fn spend(&mut self, rate: Rate, bytes: usize, now: Timestamp) -> bool {
        self.bucket.spend(rate, u32::try_from(bytes).unwrap_or(u32::MAX), now);
        let solvent_at = self.bucket.solvent_at();
        if rate.limit().is_none() || solvent_at <= now || mutation::is(Mutation::IgnoresThroughput) {
            return false;
        }
        self.paused_until = Some(solvent_at);
        let tells = now.since(self.told) >= Duration::from_secs(1);
        if tells {
            self.told = now;
        }
        tells
    }

    /// What paused may be over.
    #[inline]
    pub fn on_time(&mut self, now: Timestamp) {
        self.paused_until = self.paused_until.filter(|until| *until > now);
    }

    /// When the direction goes on; never if it is not paused.
    #[inline]
    pub fn next(&self) -> Timestamp {
        self.paused_until.unwrap_or(Timestamp::NEVER)
    }
}
