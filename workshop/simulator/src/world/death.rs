//! The end of a process and the start of the next: in order, between two steps, in the middle of what it does, and in the
//! middle of a start.

use std::time::Duration;

use models::fact::Fact;
use models::heard::Ears;
use models::marks::Mark;

use super::World;
use crate::client::Client;
use crate::rng::Rng;
use crate::wire::Wire;

/// How often a step lights the fuse, in a hundred; and how long it is at the most.
const OFTEN: u64 = 3;
const LONGEST: u64 = 24;

impl World {
    /// Now and then the process is to die after a few more moves, in this step or a later one. Drawn apart from all else, so
    /// that a step without it is what it was.
    pub(super) fn light_the_fuse(&mut self, entropy: u64) {
        let mut rng = Rng::new(entropy ^ 0x6675_7365);
        if self.settings.dies_midway && self.fuse.is_none() && rng.chance(OFTEN) {
            self.fuse = Some(rng.below(LONGEST));
        }
    }

    /// After how many polls a start dies, if it does.
    pub(super) fn dies_in_start(&self, seed: u64) -> Option<u64> {
        let mut rng = Rng::new(seed ^ 0x7374_6172);
        (self.settings.dies_midway && rng.chance(20)).then(|| rng.below(8))
    }

    /// Something moved, or not: true if the process died of it just now.
    pub(super) fn burns(&mut self, moved: bool) -> bool {
        let Some(left) = self.fuse.filter(|_| moved) else { return false };
        self.fuse = left.checked_sub(1);
        if left > 0 {
            return false;
        }
        self.listen();
        self.marks.hit(Mark::DiedMidway);
        self.restart(false);
        true
    }

    /// The process dies, or stops in order; and starts again.
    pub(super) fn restart(&mut self, graceful: bool) {
        self.note_the_hour(graceful);
        if graceful {
            let now = self.now();
            self.house.iter_mut().for_each(|house| house.stop(now));
            self.listen();
            let process = self.processes;
            self.pass(Duration::from_secs(3));
            if self.processes != process {
                // It died before it had stopped, and the next one runs.
                return;
            }
        }
        let end = self.now();
        if let Some(Err(what)) = self.house.as_ref().map(|house| house.bill.compare(end)) {
            self.fail("bill", what);
        }
        self.report(&Fact::Died { graceful });
        // What the old process still says while it is taken apart, nobody hears.
        self.ears = Ears::new();
        self.operations.clear();
        self.wires.clear();
        self.house = None;
        self.clients.iter_mut().for_each(Client::lost);
        self.disk.crash();
        self.clock.pass(Duration::from_millis(self.rng.below(3000)));
        if self.clock.read_wall() {
            self.marks.hit(Mark::ClockSetBack);
        }
        self.start();
    }

    fn note_the_hour(&self, graceful: bool) {
        self.marks.hit(if graceful { Mark::RestartedInOrder } else { Mark::Crashed });
        if self.wires.iter().any(Wire::is_connecting) {
            self.marks.hit(Mark::CrashedWhileConnecting);
        }
        let waiting = self.house.as_ref().map_or(0, |house| house.broker.waiting_writes().0);
        if waiting > 0 || !self.disk.is_idle() {
            self.marks.hit(Mark::CrashedWithUnsettled);
        }
    }
}
