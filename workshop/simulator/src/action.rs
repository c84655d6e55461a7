//! What happens in a world, step by step: drawn from the seed alone, so that a part of it can be left out and the rest
//! stays what it was.

use crate::rng::Rng;

macro_rules! deeds {
    ($($name:ident = $weight:literal, $text:literal;)*) => {
        /// A kind of step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Deed {
            $(#[doc = $text] $name,)*
        }

        impl Deed {
            const WEIGHTS: &'static [(Self, u64)] = &[$((Self::$name, $weight),)*];

            /// In words.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

deeds! {
    Connect = 16, "a client connects";
    TakeOver = 2, "a client connects although it is connected";
    Subscribe = 12, "a client subscribes";
    Unsubscribe = 2, "a client unsubscribes";
    Publish = 26, "a client publishes";
    Burst = 2, "a client publishes many messages at once";
    Retain = 5, "a client publishes with RETAIN";
    Share = 12, "a client publishes to a shared group";
    JoinGroup = 6, "a client subscribes to a shared group";
    Acknowledge = 6, "a client acknowledges what it owes";
    Ping = 2, "a client pings";
    Goodbye = 3, "a client disconnects";
    GoodbyeWithWill = 1, "a client disconnects and asks for its will";
    Cut = 4, "a link is cut";
    CutInPacket = 2, "a link is cut in the middle of a packet";
    HalfOpen = 2, "a link loses everything from now on";
    Stall = 2, "a client stops reading";
    Slow = 2, "a link becomes slow";
    Mend = 4, "the links work again";
    Misbehave = 2, "a client breaks the protocol";
    Garble = 1, "a client sends what is no packet";
    ChangePolicy = 4, "a policy changes";
    SwitchCertificate = 1, "a certificate is switched off or on";
    SlowDisk = 2, "the disk becomes slow";
    BrokenDisk = 1, "the disk fails now and then";
    MendDisk = 3, "the disk works again";
    Crash = 2, "the process dies and starts again";
    Restart = 1, "the process stops and starts again";
    Wait = 8, "time passes";
    Jump = 1, "the clock jumps";
    SetBack = 1, "the clock is set back";
    Probe = 2, "somebody asks for a retained message over HTTP";
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// Its place in the whole trace.
    pub number: usize,
    /// What.
    pub deed: Deed,
    /// Decides everything else about it.
    pub entropy: u64,
}

/// The trace of a seed.
pub fn trace(seed: u64, steps: usize) -> Vec<Action> {
    let mut rng = Rng::new(seed ^ 0x7472_6163_6500);
    let total = Deed::WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let step = |number| {
        let mut ticket = rng.below(total);
        let drawn = Deed::WEIGHTS.iter().find(|(_, weight)| {
            let here = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            here
        });
        Action { number, deed: drawn.map_or(Deed::Wait, |(deed, _)| *deed), entropy: rng.next() }
    };
    (0..steps).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_trace_begins_with_the_shorter_one() {
        assert_eq!(trace(9, 50), trace(9, 80)[..50]);
        assert_ne!(trace(9, 50), trace(10, 50));
    }

    #[test]
    fn every_deed_comes() {
        let drawn = trace(1, 5000);
        assert!(Deed::WEIGHTS.iter().all(|(deed, _)| drawn.iter().any(|action| action.deed == *deed)));
    }
}
