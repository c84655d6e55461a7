//! The quirks: what can be provoked.

use std::fmt;
use std::time::Duration;

use dialect::Divergence;

macro_rules! quirks {
    ($($(#[doc = $doc:literal])+ $name:ident, up to $seconds:literal s;)*) => {
        /// What can be provoked. Each is named by its row in the table of divergences.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Quirk {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Quirk {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its row in the table of divergences.
            pub fn divergence(self) -> Divergence {
                match self { $(Self::$name => Divergence::$name,)* }
            }

            /// How far it goes where the rule does not say: the longest delay or life. Zero if it has none.
            pub fn usual_extent(self) -> Duration {
                match self { $(Self::$name => Duration::from_secs($seconds),)* }
            }
        }
    };
}

quirks! {
    /// A QoS 0 message is delivered twice.
    Qos0Duplicates, up to 0 s;
    /// A message that is sent again gets a new packet identifier.
    RedeliveryNewPacketId, up to 0 s;
    /// A message or an acknowledgement overtakes the one before it.
    UnorderedDelivery, up to 0 s;
    /// A subscription takes effect some time after its SUBACK.
    SubackBeforeActive, up to 1 s;
    /// A change of policies reaches a live connection late.
    PolicyPropagation, up to 480 s;
    /// The server ends a connection that has lived for a while: between half of the extent and the whole.
    ConnectionLife, up to 1_209_600 s;
    /// A publish is discarded as if it were beyond the rate of the connection.
    Rate100Discard, up to 0 s;
    /// A session outlives its expiry interval.
    SessionExpirySlack, up to 1800 s;
}

impl Quirk {
    /// The stable name: that of its row.
    pub fn id(self) -> &'static str {
        self.divergence().id()
    }

    /// The quirk of that name.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|quirk| quirk.id() == id)
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialect::{Stance, State};

    #[test]
    fn names_round_trip() {
        for quirk in Quirk::ALL {
            assert_eq!(Quirk::from_id(quirk.id()), Some(*quirk));
        }
        assert_eq!(Quirk::from_id("no-qos2"), None);
    }

    #[test]
    fn only_what_is_not_the_rule_anyway_needs_provoking() {
        for quirk in Quirk::ALL.iter().filter(|quirk| **quirk != Quirk::Rate100Discard) {
            let row = quirk.divergence().row();
            assert!(
                row.stance == Stance::MayWeaken && !row.default && row.state == State::OnDemand,
                "{quirk}"
            );
        }
    }
}
