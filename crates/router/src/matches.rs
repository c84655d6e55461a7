//! What a match gives: routes, and a buffer that keeps them for the next one.

use mqtt::QoS;
use smallvec::SmallVec;

/// A subscriber as the table sees it. Cloning must be cheap: the table hands out clones.
pub trait Target: Clone {
    /// Distinguishes subscribers; one subscriber keeps one id as long as it has subscriptions.
    fn id(&self) -> u64;

    /// Whether the other one is the same subscriber, and what is delivered to it is judged alike.
    fn is_same(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

/// One subscription that matched.
#[derive(Clone, Debug)]
pub struct Route<T> {
    /// Who.
    pub target: T,
    /// The QoS granted to the subscription.
    pub qos: QoS,
    /// MQTT 5 No Local was asked for.
    pub no_local: bool,
    /// MQTT 5 Retain As Published was asked for.
    pub retain_as_published: bool,
    /// The Subscription Identifier, if there is one; those of all that matched where a subscriber is matched once.
    pub identifiers: SmallVec<[u32; 1]>,
}

/// The member of a shared group that was chosen for a message.
#[derive(Clone, Debug)]
pub struct SharedRoute<T> {
    /// The group's name, for the receive check and for people.
    pub share_name: std::sync::Arc<str>,
    /// The whole filter: it names the group.
    pub filter: std::sync::Arc<str>,
    /// The chosen member.
    pub route: Route<T>,
}

/// A buffer for the outcome of one match, meant to be reused. As long as nobody subscribes or unsubscribes, the next match
/// of the same topic finds the outcome in it; [`Matches::release`] keeps a short one only.
#[derive(Debug)]
pub struct Matches<T> {
    /// Ordinary subscriptions, a subscriber at most once if the caller asked for that.
    pub direct: Vec<Route<T>>,
    /// One chosen member for each shared group that has one.
    pub shared: Vec<SharedRoute<T>>,
    /// Whose message it is, 0 if nobody's: No Local keeps it from that subscriber. To be set before each match.
    pub sender: u64,
    /// Some of those that `#` would bring in if it matched its parent (hash-excludes-parent).
    pub missed: Vec<Route<T>>,
    pub(crate) lists: usize,
    /// A shared group is among the filters: each match chooses anew.
    pub(crate) chooses: bool,
    /// The topic that this is the outcome of, and the table's generation then; 0 if the outcome does not keep.
    topic: String,
    generation: u64,
    /// The sender that it was found for.
    found_for: u64,
    /// The hash of the topic that was matched last.
    pub(crate) key: u64,
}

/// How many routes are kept when they are released: so many sessions a publisher may keep from being forgotten.
const MOST_KEPT: usize = 16;

impl<T> Default for Matches<T> {
    fn default() -> Self {
        Self {
            direct: Vec::new(),
            shared: Vec::new(),
            missed: Vec::new(),
            sender: 0,
            lists: 0,
            chooses: false,
            topic: String::new(),
            generation: 0,
            found_for: 0,
            key: 0,
        }
    }
}

impl<T> Matches<T> {
    /// Empties the buffer and keeps its room.
    pub(crate) fn clear(&mut self) {
        self.direct.clear();
        self.shared.clear();
        self.missed.clear();
        (self.lists, self.chooses, self.generation) = (0, false, 0);
    }

    /// Lets go of an outcome that may not serve the next match for long: it keeps sessions alive.
    pub fn release(&mut self) {
        if self.generation == 0 || self.direct.len() > MOST_KEPT {
            self.clear();
        }
    }

    /// Stands for the topic that was matched last: a hash, seeded for each table, never 0.
    pub fn topic_key(&self) -> u64 {
        self.key.max(1)
    }

    /// Keeps the outcome for later, in the room that there is. One with which nothing was matched yet is given none.
    pub fn keep_in(self, room: &mut Option<Box<Self>>) {
        match room {
            Some(room) => **room = self,
            None if self.topic.capacity() == 0 && self.direct.capacity() == 0 => {}
            None => *room = Some(Box::new(self)),
        }
    }

    /// Whether this is the outcome for a topic already.
    pub(crate) fn serves(&self, topic: &str, generation: u64) -> bool {
        self.generation == generation && self.found_for == self.sender && self.topic == topic
    }

    pub(crate) fn remember(&mut self, topic: &str, generation: u64) {
        if self.chooses {
            return;
        }
        (self.generation, self.found_for) = (generation, self.sender);
        if self.topic != topic {
            self.topic.clear();
            self.topic.push_str(topic);
        }
    }
}

/// One route for each target, of the highest QoS [MQTT-3.3.4-2]. What No Local keeps from the sender does not count for it.
pub(crate) fn keep_best<T: Target>(routes: &mut Vec<Route<T>>, sender: u64) {
    routes.retain(|route| !(route.no_local && route.target.id() == sender));
    routes.sort_unstable_by_key(|route| (route.target.id(), std::cmp::Reverse(route.qos as u8)));
    // [MQTT-3.3.4-4] the one copy carries the identifiers of all.
    routes.dedup_by(|other, best| {
        let same = other.target.id() == best.target.id();
        if same {
            best.identifiers.append(&mut other.identifiers);
        }
        same
    });
}
