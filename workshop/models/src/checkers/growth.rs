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

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        let Fact::Emptied { connections, jobs, messages, shared, records, footprint } = fact else {
            return Ok(());
        };
        // What the disk kept although it said that it had not, of a group that is gone: at most so many.
        let perhaps = usize::try_from(book.perhaps).unwrap_or(usize::MAX);
        let shared = &shared.saturating_sub(perhaps);
        let left = [
            ("connections", connections),
            ("jobs", jobs),
            ("messages in the journal", messages),
            ("messages in the journal of a group", shared),
            ("records of sessions and wills", records),
            ("clients in the directory", &footprint.clients),
            ("subscriptions", &footprint.subscriptions),
            ("groups", &footprint.groups),
            ("records that permissions depend on", &footprint.records),
            ("moments to come, although the last one is over", &footprint.moments),
        ];
        match left.iter().find(|(_, count)| **count > 0) {
            Some((what, count)) => Err(format!("everybody has left, and there are {count} {what}")),
            None => Ok(()),
        }
    }
}
