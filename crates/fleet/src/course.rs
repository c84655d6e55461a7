//! The course of a run: warm up, measure, drain, end. One task leads, all others follow.

use tokio::sync::watch;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Load without measuring.
    WarmUp,
    /// Load, measured.
    Measure,
    /// Nothing new is sent; what is on its way may arrive.
    Drain,
    /// Everybody goes.
    End,
}

/// Follows the course.
#[derive(Clone, Debug)]
pub struct Follower(watch::Receiver<Phase>);

/// Leads the course. Dropping it ends the run.
#[derive(Debug)]
pub struct Leader(watch::Sender<Phase>);

/// A course that begins with the warm-up.
pub fn course() -> (Leader, Follower) {
    let (sender, receiver) = watch::channel(Phase::WarmUp);
    (Leader(sender), Follower(receiver))
}

impl Leader {
    /// Goes on.
    pub fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }
}

impl Follower {
    /// Where the run stands.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// True when nothing new is to be sent, or the leader is gone.
    pub fn ending(&self) -> bool {
        self.phase() >= Phase::Drain || self.0.has_changed().is_err()
    }

    /// Waits until the run has come to this phase, or is over.
    pub async fn reached(&mut self, phase: Phase) {
        // An error means that the leader is gone, which is an end, too.
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn followers_see_phases_and_the_leader_leaving() {
        let (leader, mut follower) = course();
        assert_eq!(follower.phase(), Phase::WarmUp);
        leader.enter(Phase::Drain);
        follower.reached(Phase::Measure).await;
        assert_eq!(follower.phase(), Phase::Drain);
        drop(leader);
        follower.reached(Phase::End).await;
    }
}
