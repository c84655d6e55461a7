//! A persistent session's place in its journal: what is unread, what is on its way, what may be forgotten.
//!
//! The journal is a row of numbered records; numbers grow, with gaps. What waited when the client came is the *backlog*;
//! what comes while it is there is *live* and does not wait for the backlog (*MQTT*, persistent sessions). So the
//! unread records are parts of the row, in order, of which the last is open. Nothing is forgotten before it was
//! acknowledged or given up; after a restart everything after the last trim is unread again.

use std::collections::BTreeSet;

/// How many closed parts are remembered; older ones are joined, which may bring a record twice but loses none.
const MOST_PARTS: usize = 8;
/// After how many settled records a trim is worth its write.
const TRIM_EVERY: usize = 32;

/// Unread records: after `after`, up to and including `upto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The last one that was read.
    pub after: u64,
    /// The end; `u64::MAX` for the open part.
    pub upto: u64,
}

/// A read that is under way: the answer is taken only if nothing moved meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What to read.
    pub part: Part,
    /// The records waited there when the client came.
    pub is_backlog: bool,
    /// Everything up to here is in the journal: an empty page means that none of it is this session's.
    pub known: u64,
}

/// The place in the journal.
#[derive(Clone, Debug)]
pub struct Tape {
    /// Closed parts, in order, and one open part at the end.
    parts: Vec<Part>,
    /// Read and not settled.
    open: BTreeSet<u64>,
    /// The greatest number known to be in the journal.
    last: u64,
    /// False after a restart, until the end was seen.
    last_is_known: bool,
    trimmed: u64,
    settled_since: usize,
    /// Records appended and not read: an estimate after a restart.
    waiting: usize,
}

impl Tape {
    /// An empty journal.
    pub fn new() -> Self {
        Self::at(true)
    }

    /// A journal of which nothing is known: after a restart.
    pub fn recovered() -> Self {
        Self::at(false)
    }

    fn at(last_is_known: bool) -> Self {
        let open_end = Part { after: 0, upto: u64::MAX };
        Self {
            parts: vec![open_end],
            open: BTreeSet::new(),
            last: 0,
            last_is_known,
            trimmed: 0,
            settled_since: 0,
            waiting: 0,
        }
    }

    /// A record is on its way into the journal.
    pub fn announce(&mut self) {
        self.waiting += 1;
    }

    /// One that was announced did not get there, as far as is known.
    pub fn missed(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Records that were announced and not read yet.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The journal holds records up to `number`.
    pub fn arrived(&mut self, number: u64) {
        self.last = self.last.max(number);
    }

    /// The client came: what is unread now is the backlog.
    pub fn attach(&mut self) {
        let Some(tail) = self.parts.last_mut() else { return };
        let unread = tail.after < self.last || !self.last_is_known;
        if !unread {
            return;
        }
        if self.last_is_known {
            tail.upto = self.last;
            let after = self.last;
            self.parts.push(Part { after, upto: u64::MAX });
        }
        if self.parts.len() > MOST_PARTS
            && let [first, second, ..] = &mut self.parts[..]
        {
            second.after = first.after;
            self.parts.remove(0);
        }
    }

    /// What to read next: live records first if they are asked for, else the backlog.
    pub fn next_read(&self, backlog: bool) -> Option<Reading> {
        if backlog && (self.parts.len() > 1 || !self.last_is_known) {
            return self.parts.first().map(|part| Reading {
                part: *part,
                is_backlog: true,
                known: self.last,
            });
        }
        let tail = self.parts.last()?;
        let unread = self.last_is_known && tail.after < self.last;
        unread.then_some(Reading { part: *tail, is_backlog: false, known: self.last })
    }

    /// True if there is a backlog.
    pub fn has_backlog(&self) -> bool {
        self.parts.len() > 1 || !self.last_is_known
    }

    /// Takes the answer of a read: the numbers, ascending. False if the tape has moved meanwhile: read again.
    pub fn take(&mut self, reading: Reading, numbers: &[u64]) -> bool {
        let Some(at) = self.parts.iter().position(|part| *part == reading.part) else { return false };
        let within: Vec<u64> =
            numbers.iter().copied().filter(|number| *number <= reading.part.upto).collect();
        self.waiting = self.waiting.saturating_sub(within.len());
        let ended = within.len() < numbers.len() || numbers.is_empty();
        let Some(part) = self.parts.get_mut(at) else { return false };
        if let Some(last) = within.last() {
            part.after = *last;
            self.last = self.last.max(*last);
        }
        let is_open = part.upto == u64::MAX;
        if is_open && numbers.is_empty() {
            self.last_is_known = true;
            part.after = part.after.max(reading.known);
            self.last = self.last.max(part.after);
        } else if !is_open && (ended || part.after >= part.upto) {
            self.parts.remove(at);
        }
        self.open.extend(within);
        true
    }

    /// Records of one read that were not sent are unread again, from `first` to `last`: the client went.
    pub fn put_back(&mut self, first: u64, last: u64, is_backlog: bool) {
        if first > last {
            return;
        }
        let back: Vec<u64> = self.open.range(first..=last).copied().collect();
        self.waiting += back.len();
        back.iter().for_each(|number| {
            self.open.remove(number);
        });
        let after = first.saturating_sub(1);
        let part = if is_backlog { self.parts.first_mut() } else { self.parts.last_mut() };
        match part {
            Some(part) if part.after == last && (!is_backlog || part.upto != u64::MAX) => part.after = after,
            _ => {
                let at = self.parts.iter().position(|part| part.after >= last).unwrap_or(0);
                self.parts.insert(at, Part { after, upto: last });
            }
        }
    }

    /// A record that was read is done with: acknowledged, expired, no longer allowed.
    pub fn settle(&mut self, number: u64) {
        if self.open.remove(&number) {
            self.settled_since += 1;
        }
    }

    /// Up to where the journal may forget, if it is worth a write now.
    pub fn trim(&mut self) -> Option<u64> {
        let idle = self.open.is_empty() && self.parts.len() == 1;
        if self.settled_since == 0 || (self.settled_since < TRIM_EVERY && !idle) {
            return None;
        }
        let unread = self.parts.first().map_or(0, |part| part.after);
        let upto = self.open.first().map_or(unread, |first| unread.min(first.saturating_sub(1)));
        if upto <= self.trimmed {
            return None;
        }
        self.trimmed = upto;
        self.settled_since = 0;
        Some(upto)
    }
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Act {
        Append(u64),
        Attach,
        Read { backlog: bool, limit: usize },
        Settle(usize),
        Trim,
        Leave,
        Restart,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            5 => (1u64..4).prop_map(Act::Append),
            1 => Just(Act::Attach),
            5 => (any::<bool>(), 1usize..5).prop_map(|(backlog, limit)| Act::Read { backlog, limit }),
            6 => (0usize..6).prop_map(Act::Settle),
            2 => Just(Act::Trim),
            1 => Just(Act::Leave),
            1 => Just(Act::Restart),
        ]
    }

    /// The journal itself, naively.
    #[derive(Default)]
    struct Journal {
        records: BTreeMap<u64, ()>,
        last: u64,
    }

    impl Journal {
        fn read(&self, part: Part, limit: usize) -> Vec<u64> {
            self.records.range(part.after + 1..).take(limit).map(|(number, ())| *number).collect()
        }
    }

    proptest! {
        /// Whatever happens, every record is read and settled before it is forgotten, and reading to the end finds all.
        #[test]
        fn nothing_is_forgotten_before_it_is_settled(acts in proptest::collection::vec(act(), 1..150)) {
            let mut tape = Tape::new();
            let mut journal = Journal::default();
            let (mut settled, mut held) = (BTreeSet::new(), Vec::<u64>::new());
            // What was read since the last attach and waits to be sent, as a session's queues hold it.
            let mut queues: [Vec<u64>; 2] = [Vec::new(), Vec::new()];
            for act in acts.into_iter().chain([Act::Attach]) {
                match act {
                    Act::Append(gap) => {
                        journal.last += gap;
                        journal.records.insert(journal.last, ());
                        tape.announce();
                        // Others' records may have come in the same write, behind this one.
                        journal.last += gap % 2;
                        tape.arrived(journal.last);
                    }
                    Act::Attach => tape.attach(),
                    Act::Read { backlog, limit } => {
                        // As a session does: a page only when the one before is used up.
                        if let Some(reading) = tape.next_read(backlog)
                            && queues[usize::from(reading.is_backlog)].is_empty()
                        {
                            let numbers = journal.read(reading.part, limit);
                            prop_assert!(tape.take(reading, &numbers));
                            let read = numbers.into_iter().filter(|number| *number <= reading.part.upto);
                            queues[usize::from(reading.is_backlog)].extend(read);
                        }
                    }
                    Act::Settle(at) if at < 2 => {
                        // The client takes the next one of a queue.
                        if !queues[at].is_empty() {
                            held.push(queues[at].remove(0));
                        }
                    }
                    Act::Settle(at) if at - 2 < held.len() => {
                        let at = at - 2;
                        let number = held.remove(at);
                        tape.settle(number);
                        settled.insert(number);
                    }
                    Act::Settle(_) => {}
                    Act::Trim => {
                        if let Some(upto) = tape.trim() {
                            let gone: Vec<u64> = journal.records.range(..=upto).map(|(number, ())| *number).collect();
                            for number in gone {
                                prop_assert!(settled.contains(&number), "{number} was forgotten");
                                journal.records.remove(&number);
                            }
                        }
                    }
                    Act::Leave => {
                        for (at, queue) in queues.iter_mut().enumerate() {
                            if let (Some(first), Some(last)) = (queue.first(), queue.last()) {
                                tape.put_back(*first, *last, at == 1);
                            }
                            queue.clear();
                        }
                        tape.attach();
                    }
                    Act::Restart => {
                        held.clear();
                        queues = [Vec::new(), Vec::new()];
                        tape = Tape::recovered();
                    }
                }
            }
            queues.iter_mut().for_each(|queue| held.append(queue));
            for _ in 0..500 {
                for backlog in [true, false] {
                    if let Some(reading) = tape.next_read(backlog) {
                        let numbers = journal.read(reading.part, 3);
                        prop_assert!(tape.take(reading, &numbers));
                        held.extend(numbers);
                    }
                }
                held.drain(..).for_each(|number| { tape.settle(number); settled.insert(number); });
            }
            prop_assert!(tape.next_read(true).is_none() && tape.next_read(false).is_none());
            prop_assert!(journal.records.keys().all(|number| settled.contains(number)), "a record was never read");
        }
    }

    #[test]
    fn live_records_do_not_wait_for_the_backlog() {
        let mut tape = Tape::new();
        tape.arrived(10);
        tape.attach();
        tape.arrived(11);
        assert!(tape.has_backlog());
        assert_eq!(tape.next_read(true).unwrap().part, Part { after: 0, upto: 10 });
        let live = tape.next_read(false).unwrap();
        assert_eq!(live.part.after, 10);
        assert!(tape.take(live, &[11]));
        tape.settle(11);
        assert_eq!(tape.trim(), None, "the backlog is still unread");
    }

    #[test]
    fn an_empty_page_ends_the_reading_although_others_have_records_there() {
        let mut tape = Tape::new();
        tape.arrived(5);
        let reading = tape.next_read(false).unwrap();
        assert!(tape.take(reading, &[3]));
        let reading = tape.next_read(false).unwrap();
        // Comes after the read and is not part of it.
        tape.arrived(7);
        assert!(tape.take(reading, &[]));
        assert_eq!(tape.next_read(false).unwrap().part.after, 5);
        let reading = tape.next_read(false).unwrap();
        assert!(tape.take(reading, &[]));
        assert_eq!(tape.next_read(false), None);
    }

    #[test]
    fn an_answer_that_comes_too_late_is_not_taken() {
        let mut tape = Tape::new();
        tape.arrived(3);
        let reading = tape.next_read(false).unwrap();
        assert!(tape.take(reading, &[1, 2]));
        assert!(!tape.take(reading, &[1, 2]));
    }
}
