//! From a permitted message to its subscribers.

use std::sync::Arc;

use dialect::Divergence;
use identity::Timestamp;
use mqtt::{Message, QoS};
use router::{Matches, Route};
use session::Parcel;

use super::{Permits, Sender};
use crate::broker::Inner;
use crate::cell::Subscriber;

/// Messages with a payload up to this many bytes are copied once when they may wait somewhere, so that a small
/// message does not hold on to the large buffer in which it arrived.
const COPY_UP_TO: usize = 16 * 1024;

impl Inner {
    /// Retains, routes and delivers. The permits are the proof that the policies allow it.
    pub fn distribute(
        &self,
        permits: Permits,
        message: Message,
        sender: Sender<'_>,
        matches: &mut Matches<Subscriber>,
        now: Timestamp,
    ) {
        let Permits { publish: _proof, retain } = permits;
        if message.topic.is_reserved() && self.is_swallowed(&message, sender, now) {
            return;
        }
        let waits = message.qos != QoS::AtMostOnce && message.payload.len() <= COPY_UP_TO;
        let message = if waits { message.detached() } else { message };
        let parcel = Arc::new(Parcel::new(message));
        if let Some(permit) = retain {
            self.retain(permit, &parcel, now);
        }
        let random = self.random();
        let topic = parcel.message.topic.as_str();
        self.routes.matches(topic, &mut |members| choose(members, random), matches);
        for route in &matches.direct {
            self.deliver(route, None, &parcel, sender, now);
        }
        for shared in &matches.shared {
            self.deliver(&shared.route, Some(&shared.share_name), &parcel, sender, now);
        }
    }
}

impl Inner {
    /// Reserved topics are for services. None is built yet: the event says so, lest somebody waits for an answer.
    /// Basic Ingest goes to its rule and to nobody else; the other topics also reach those who subscribed to them.
    fn is_swallowed(&self, message: &Message, sender: Sender<'_>, now: Timestamp) -> bool {
        if !self.dialect.has(Divergence::DollarTopicsClosed) {
            return false;
        }
        let topic = message.topic.as_str();
        if let Some((rule, _rest)) = dialect::basic_ingest(topic) {
            self.report_unserved(
                sender.origin,
                topic,
                &format_args!("rule {rule} does not exist (RuleNotFound)"),
                now,
            );
            return true;
        }
        self.report_unserved(sender.origin, topic, &"the service behind it is not built yet", now);
        false
    }
}

/// A member of a shared group at random: among those who are online if there are any, else among all.
fn choose(members: &[Route<Subscriber>], random: u64) -> Option<usize> {
    let nth = |count: usize| (random % count as u64) as usize;
    let online = members.iter().filter(|member| member.target.cell.is_online()).count();
    if online == 0 {
        return (!members.is_empty()).then(|| nth(members.len()));
    }
    let at_home = members.iter().enumerate().filter(|(_, member)| member.target.cell.is_online());
    // One may have left since it was counted: then the last one of the others serves.
    at_home.take(nth(online) + 1).last().map(|(at, _)| at)
}
