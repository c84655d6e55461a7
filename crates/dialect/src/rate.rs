//! So many in a second.

use std::fmt;
use std::time::Duration;

/// A rate in its quota's unit per second. The largest value means that there is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u32);

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self(u32::MAX);

    /// So many per second; 0 lets nothing through.
    pub const fn per_second(count: u32) -> Self {
        Self(count)
    }

    /// The count, or `None` without a limit.
    #[inline]
    pub const fn limit(self) -> Option<u32> {
        if self.0 == u32::MAX { None } else { Some(self.0) }
    }

    /// The time from one to the next at an even pace: none without a limit, the longest if nothing passes.
    pub fn pause(self) -> Duration {
        match self.limit() {
            None => Duration::ZERO,
            Some(0) => Duration::from_secs(u32::MAX.into()),
            Some(count) => Duration::from_secs(1) / count,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit() {
            Some(count) => write!(f, "{count} per second"),
            None => f.write_str("unlimited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_no_limit() {
        assert_eq!(Rate::per_second(7).limit(), Some(7));
        assert_eq!(Rate::UNLIMITED.limit(), None);
        assert_eq!(Rate::per_second(7).to_string(), "7 per second");
        assert_eq!(Rate::per_second(10).pause(), Duration::from_millis(100));
        assert_eq!((Rate::UNLIMITED.pause(), Rate::per_second(0).pause().is_zero()), (Duration::ZERO, false));
    }
}
