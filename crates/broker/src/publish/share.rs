//! A message for a shared subscription: to a member, or into the queue of its group.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use dialect::Divergence;
use identity::Timestamp;
use mqtt::QoS;
use router::{Route, SharedRoute};
use session::group::Lane;
use session::{Delivered, Dropped, Offer, Parcel};
use store::Recipient;

use super::deliver::{Fate, Report, permit};
use super::route::{Waiting, Waits};
use super::{Sender, Wakes, deliver};
use crate::broker::Inner;
use crate::cell::Subscriber;
use crate::groups;

/// What of a group was seen when one of its members was chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// A member is there and has room for a message.
    ready: bool,
    /// A member has a persistent session that takes QoS 1: the group queues.
    lasts: bool,
}

/// A member of a shared group at random: among those who are there and have room, else among those who are there, else
/// among all.
pub(super) fn choose(members: &[Route<Subscriber>], random: u64) -> (Option<usize>, Seen) {
    let pick = |fits: &dyn Fn(&Route<Subscriber>) -> bool| {
        let count = members.iter().filter(|member| fits(member)).count();
        let nth = random.checked_rem(count as u64)? as usize;
        // One may have left since it was counted: then the last one of the others serves.
        members.iter().enumerate().filter(|(_, member)| fits(member)).take(nth + 1).last().map(|(at, _)| at)
    };
    let ready = pick(&|member| member.target.cell.is_ready());
    let chosen = ready.or_else(|| pick(&|member| member.target.cell.is_online())).or_else(|| pick(&|_| true));
    let lasts =
        members.iter().any(|member| member.qos != QoS::AtMostOnce && member.target.cell.is_persistent());
    (chosen, Seen { ready: ready.is_some(), lasts })
}

impl Inner {
    /// Hands a message to the chosen member, or keeps it for the group.
    pub fn share(
        &self,
        shared: &SharedRoute<Subscriber>,
        seen: Seen,
        parcel: &Arc<Parcel>,
        (sender, wakes): (Sender<'_>, &mut Wakes),
        now: Timestamp,
    ) -> Option<Waiting> {
        if parcel.message.qos != QoS::AtLeastOnce || !seen.lasts || !self.groups_queue() {
            let share_name = Some(&shared.share_name);
            return self.deliver(&shared.route, share_name, parcel, (sender, wakes), now);
        }
        let group = self.groups.claim(&shared.filter)?;
        let lane = group.queue(|queue| queue.lane(seen.ready));
        let most = self.dialect.limits().shared_group_queue;
        let fate = if lane == Lane::Queued && !self.throttles.queue(now) {
            Some(Fate::Dropped(Dropped::QueueRate))
        } else if !group.queue(|queue| queue.announce(lane, most)) {
            Some(Fate::Dropped(Dropped::QueueFull))
        } else {
            (lane == Lane::Queued).then_some(Fate::Queued)
        };
        let dropped = matches!(fate, Some(Fate::Dropped(_)));
        if let Some(fate) = fate {
            let client_id = &shared.route.target.cell.client_id;
            self.report(client_id, &Report::of_message(parcel, fate), now);
            let detail = &format_args!("{} waits for the group {}", parcel.message.topic, shared.filter);
            self.diverges_for(Divergence::SharedGroupQueue, client_id.as_str(), "PUBLISH", detail, now);
        }
        let until = match parcel.message.expires_at {
            Some(end) => Timestamp(end),
            None => now + Duration::from_secs(self.dialect.limits().session_expiry_max.into()),
        };
        let recipient =
            Recipient { session: group.key(lane), tag: groups::tag(parcel.message.retain, until) };
        (!dropped).then_some(Waiting { waits: Waits::Group(group, lane), recipient })
    }

    /// Hands a message of a group's queue to a member: true if it is on its way and has to be acknowledged, false if
    /// that is all there is to do about it. `None`: the member can't take it now.
    pub fn hand_share(&self, member: &Route<Subscriber>, offer: &Offer, now: Timestamp) -> Option<bool> {
        let honoured = member.retain_as_published && !self.dialect.has(Divergence::RetainAsPublishedIgnored);
        let qos = offer.qos.min(member.qos);
        let identifiers = member.identifiers.clone();
        let offer = Offer { qos, retain: offer.retain && honoured, identifiers, ..offer.clone() };
        let cell = &member.target.cell;
        let (report, waker) = cell.enter(|seat| {
            let kept = seat.kept.as_mut().filter(|kept| kept.id == member.target.session)?;
            let live = seat.live.as_mut().filter(|_| seat.accepted)?;
            let (standing, version) = (live.standing.clone(), kept.session.version());
            let Some(permit) = permit(&standing, &offer, now) else {
                let fate = Fate::Denied(offer.share_name.clone());
                return Some((Report::new(&offer, version, Some(&standing), fate), None));
            };
            let delivered = deliver::hand_over_share(permit, kept, live, offer.clone(), now)?;
            let waker = if delivered == Delivered::Sent { live.waker.take() } else { None };
            Some((Report::new(&offer, version, Some(&standing), delivered.into()), waker))
        })?;
        waker.into_iter().for_each(Waker::wake);
        self.report(&cell.client_id, &report, now);
        self.close_if_denied(cell, &report, now);
        Some(qos != QoS::AtMostOnce && matches!(report.fate, Fate::Sent))
    }
}
