//! Nothing grows without bound: when everybody has left and every session is over, nothing of them is there any more.

use identity::Timestamp;

use super::Checker;
use crate::book::Book;
use crate::fact::Fact;

/// Looks at the end.
pub(super) struct Growth;

impl Checker for Growth {
    fn name(&self) -> &'static str {
        "growth"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, _book: &Book) -> Result<(), String> {
        let Fact::Emptied { connections, jobs, messages, records } = fact else { return Ok(()) };
        let left = [
            ("connections", connections),
            ("jobs", jobs),
            ("messages in the journal", messages),
            ("records of sessions and wills", records),
        ];
        match left.iter().find(|(_, count)| **count > 0) {
            Some((what, count)) => Err(format!("everybody has left, and there are {count} {what}")),
            None => Ok(()),
        }
    }
}
