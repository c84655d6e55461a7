//! Reminds of the end of the server certificate, which is read at the start and never again.

use std::time::Duration;

use identity::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long before the end the reminders begin.
const NOTICE: Duration = Duration::from_secs(30 * 24 * 3600);

/// When to remind whom of what.
pub struct Expiry {
    ends: Timestamp,
    /// No reminder before this moment.
    next: Timestamp,
    is_own: bool,
}

impl Expiry {
    /// Of a certificate that ends at `ends`; `is_own`: the operator brought it.
    pub fn new(ends: Timestamp, is_own: bool) -> Self {
        Self { ends, next: Timestamp::default(), is_own }
    }

    /// What to tell the operator now: once a day at most.
    pub fn reminder(&mut self, now: Timestamp) -> Option<String> {
        if now < self.next || now + NOTICE < self.ends {
            return None;
        }
        self.next = now + DAY;
        let days = |span: Duration| span.as_secs() / DAY.as_secs();
        let when = match now > self.ends {
            true => format!("expired {} days ago: devices refuse it", days(now.since(self.ends))),
            false => format!("expires in {} days", days(self.ends.since(now))),
        };
        let what = match self.is_own {
            true => "replace the files and restart",
            false => "restart, which makes a new one",
        };
        Some(format!("the server certificate {when}; {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reminds_once_a_day_from_thirty_days_before_the_end() {
        let start = Timestamp(1_800_000_000_000);
        let mut expiry = Expiry::new(start + DAY * 31, false);
        assert_eq!(expiry.reminder(start), None);
        let first = expiry.reminder(start + DAY).unwrap();
        assert_eq!(first, "the server certificate expires in 30 days; restart, which makes a new one");
        assert_eq!(expiry.reminder(start + DAY + Duration::from_secs(3600)), None);
        assert!(expiry.reminder(start + DAY * 2).unwrap().contains("in 29 days"));
        assert!(expiry.reminder(start + DAY * 33).unwrap().contains("expired 2 days ago"));
    }

    #[test]
    fn an_own_certificate_is_the_operators_to_replace() {
        let reminder = Expiry::new(Timestamp(0), true).reminder(Timestamp(1)).unwrap();
        assert!(reminder.ends_with("replace the files and restart"), "{reminder}");
    }
}
