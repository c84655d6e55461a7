//! Links whose life has an end, and what custom authorizers granted: asked for again, and ended.
//!
//! Source: developer guide, *Custom authentication* (refreshAfterInSeconds, disconnectAfterInSeconds), *AWS IoT Core
//! endpoints and quotas* (WebSocket connection duration), *Lifecycle events* (disconnect reasons).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dialect::{Divergence, Fault, QuotaProfile};
use identity::{CustomPrincipal, Principal, Timestamp};
use mqtt::{Packet, QoS, ReasonCode, Version};
use store::block_on;

use super::house::{Client, House, connect, will};
use crate::{Credential, Flow, Grant, GrantedDocument, Link, NotRenewed, Renewal, Renewing};

const REFRESH: u64 = 300;

/// May connect, subscribe, and publish to this topic and to `will`.
fn may_publish(topic: &str) -> GrantedDocument {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[
        {{"Effect":"Allow","Action":["iot:Connect","iot:Subscribe","iot:Receive"],"Resource":"*"}},
        {{"Effect":"Allow","Action":"iot:Publish","Resource":[
            "arn:aws:iot:eu-west-1:123456789012:topic/{topic}","arn:aws:iot:eu-west-1:123456789012:topic/will"]}}]}}"#
    );
    let document = Arc::new(policy::Document::parse(&text).unwrap());
    GrantedDocument { text: text.into(), document }
}

/// An authorizer that answers what the test says, and counts.
#[derive(Debug)]
struct Authorizer {
    topic: Mutex<Result<&'static str, &'static str>>,
    asked: Mutex<Vec<Timestamp>>,
    /// So often there is no room to ask it.
    busy: Mutex<u32>,
}

impl Authorizer {
    fn new() -> Arc<Self> {
        Arc::new(Self { topic: Mutex::new(Ok("first")), asked: Mutex::default(), busy: Mutex::new(0) })
    }

    fn answer(&self, topic: Result<&'static str, &'static str>) {
        *self.topic.lock().unwrap() = topic;
    }

    fn asked(&self) -> Vec<u64> {
        self.asked.lock().unwrap().iter().map(|at| at.since(super::house::START).as_secs()).collect()
    }

    fn grant(self: Arc<Self>, now: Timestamp) -> Result<Grant, NotRenewed> {
        let topic = (*self.topic.lock().unwrap()).map_err(|why| NotRenewed::Refused(why.to_owned()))?;
        Ok(Grant {
            authorizer: "door".into(),
            documents: Arc::new([may_publish(topic)]),
            refresh_at: now + Duration::from_secs(REFRESH),
            renewal: Some(self),
        })
    }
}

impl Renewal for Authorizer {
    fn renew(self: Arc<Self>, now: Timestamp) -> Renewing {
        self.asked.lock().unwrap().push(now);
        let mut busy = self.busy.lock().unwrap();
        let answer = match busy.checked_sub(1) {
            Some(left) => {
                *busy = left;
                Err(NotRenewed::Busy("all places are taken".to_owned()))
            }
            None => Arc::clone(&self).grant(now),
        };
        drop(busy);
        Box::pin(async move { answer })
    }
}

fn credential(house: &House, authorizer: &Arc<Authorizer>) -> Credential {
    let principal = CustomPrincipal { principal_id: "somebody".into(), authorizer: "door".into() };
    let grant = Arc::clone(authorizer).grant(house.now()).unwrap();
    Credential { grant: Some(grant), ..Credential::of(Principal::Custom(Arc::new(principal))) }
}

/// A client with a will, let in by the authorizer.
fn enter(house: &Arc<House>, authorizer: &Arc<Authorizer>, id: &str, link: Link) -> Client {
    let mut asked = connect(id, Version::V5);
    asked.will = will("will", "gone");
    // No silence ends it before the test does.
    asked.keep_alive = 1200;
    let mut client = house.try_connect_over(link, credential(house, authorizer), asked).unwrap();
    assert_eq!(client.connack().code, ReasonCode::Success);
    client
}

/// Passes time and asks authorizers again as a running broker does: once a second.
fn pass(house: &House, seconds: u64) {
    for _ in 0..seconds {
        house.pass(1);
        let now = house.now();
        for due in house.broker.due_renewals(now) {
            block_on(house.broker.renew(due, &move || now));
        }
    }
}

fn may(client: &mut Client, topic: &str) -> bool {
    client.publish(topic, "x", QoS::AtLeastOnce);
    match client.take().pop() {
        Some(Packet::PubAck(ack)) => ack.code != ReasonCode::NotAuthorized,
        other => panic!("{other:?}"),
    }
}

/// A client that hears wills, and whatever comes.
fn watcher(house: &Arc<House>) -> Client {
    let mut watcher = house.client_with("watcher", Version::V5, |asked| asked.keep_alive = 1200);
    watcher.subscribe("will", QoS::AtMostOnce);
    watcher
}

fn assert_ended(client: &mut Client, watcher: &mut Client, code: ReasonCode) {
    match client.take().pop() {
        Some(Packet::Disconnect(disconnect)) => assert_eq!(disconnect.code, code),
        other => panic!("{other:?}"),
    }
    assert!(client.closed);
    assert_eq!(watcher.payloads(), ["gone"]);
}

#[test]
fn a_renewal_replaces_the_policies_of_the_same_connection() {
    let house = House::new();
    let authorizer = Authorizer::new();
    let mut client = enter(&house, &authorizer, "dev", House::link());
    assert!(may(&mut client, "first") && !may(&mut client, "second"));
    authorizer.answer(Ok("second"));
    pass(&house, REFRESH - 1);
    assert!(may(&mut client, "first") && !may(&mut client, "second"), "until it is time");
    pass(&house, 1);
    assert!(!may(&mut client, "first") && may(&mut client, "second"));
    // The new answer says when the next question is due.
    pass(&house, REFRESH);
    assert_eq!(authorizer.asked(), [REFRESH, 2 * REFRESH]);
    assert!(may(&mut client, "second"));
}

#[test]
fn ended_connections_do_not_wait_for_a_renewal_by_the_thousand() {
    let house = House::new();
    let authorizer = Authorizer::new();
    let mut stays = enter(&house, &authorizer, "stays", House::link());
    for number in 0..1000 {
        drop(enter(&house, &authorizer, &format!("c{number}"), House::link()));
    }
    assert!(house.broker.waiting_renewals() < 200, "{}", house.broker.waiting_renewals());
    authorizer.answer(Ok("second"));
    pass(&house, REFRESH);
    assert!(may(&mut stays, "second"), "a connection that is there is not forgotten");
}

#[test]
fn a_renewal_that_fails_ends_the_connection_with_its_will() {
    for why in ["isAuthenticated is false", "principalId other after somebody"] {
        let house = House::new();
        let (mut watcher, authorizer) = (watcher(&house), Authorizer::new());
        let mut client = enter(&house, &authorizer, "dev", House::link());
        authorizer.answer(Err(why));
        pass(&house, REFRESH - 1);
        assert!(client.take().is_empty());
        pass(&house, 1);
        assert_ended(&mut client, &mut watcher, ReasonCode::NotAuthorized);
        assert!(house.heard("CUSTOMAUTH_TTL_EXPIRATION"), "{:?}", house.events());
        assert!(house.heard(why), "{:?}", house.events());
    }
}

/// Whoever keeps the functions busy turns nobody out.
#[test]
fn a_renewal_without_room_is_tried_again_and_the_connection_stays() {
    let house = House::new();
    let authorizer = Authorizer::new();
    let end = house.now() + Duration::from_secs(2 * REFRESH);
    let link = Link { ends: Some((end, Fault::GrantExpired)), ..House::link() };
    let mut client = enter(&house, &authorizer, "dev", link);
    *authorizer.busy.lock().unwrap() = 2;
    authorizer.answer(Ok("second"));
    pass(&house, REFRESH + 9);
    assert!(may(&mut client, "first"), "as before");
    assert!(house.heard("all places are taken") && house.heard("dev"), "{:?}", house.events());
    pass(&house, 1);
    assert!(may(&mut client, "second"));
    assert_eq!(authorizer.asked(), [REFRESH, REFRESH + 5, REFRESH + 10]);
    // At the latest the grant's own end comes.
    *authorizer.busy.lock().unwrap() = u32::MAX;
    pass(&house, 2 * REFRESH);
    assert_eq!(client.on_time(), Flow::Close);
}

#[test]
fn nobody_is_asked_about_a_connection_that_is_over() {
    let house = House::new();
    let authorizer = Authorizer::new();
    let mut client = enter(&house, &authorizer, "dev", House::link());
    client.goodbye(ReasonCode::Success);
    drop(client);
    pass(&house, 2 * REFRESH);
    assert!(authorizer.asked().is_empty());
}

/// Another client of the same authorizer, and the same client's next connection, are not the one that is turned away.
#[test]
fn a_renewal_that_fails_ends_its_own_connection_only() {
    let house = House::new();
    let (first, second) = (Authorizer::new(), Authorizer::new());
    let mut other = enter(&house, &second, "other", House::link());
    let mut before = enter(&house, &first, "dev", House::link());
    let mut after = enter(&house, &second, "dev", House::link());
    before.take();
    assert!(before.closed);
    before.cut();
    first.answer(Err("not any more"));
    pass(&house, REFRESH);
    assert!(may(&mut other, "first") && may(&mut after, "first"));
}

#[test]
fn disconnect_after_seconds_ends_it_whatever_was_renewed() {
    let house = House::new();
    let (mut watcher, authorizer) = (watcher(&house), Authorizer::new());
    let end = house.now() + Duration::from_secs(700);
    let link = Link { ends: Some((end, Fault::GrantExpired)), ..House::link() };
    let mut client = enter(&house, &authorizer, "dev", link);
    pass(&house, 699);
    assert_eq!(client.on_time(), Flow::Continue);
    assert!(may(&mut client, "first"));
    assert_eq!(client.next_deadline(), end);
    pass(&house, 1);
    assert_eq!(client.on_time(), Flow::Close);
    assert_ended(&mut client, &mut watcher, ReasonCode::NotAuthorized);
    assert!(house.heard("CUSTOMAUTH_TTL_EXPIRATION"), "{:?}", house.events());
    assert_eq!(authorizer.asked(), [REFRESH, 2 * REFRESH]);
}

#[test]
fn a_link_that_ends_takes_its_connection_with_it() {
    for version in [Version::V311, Version::V5] {
        let house = House::with(|dialect| {
            assert!(dialect.has(Divergence::Ws24h));
            dialect.set_profile(QuotaProfile::Aws);
        });
        let mut watcher = watcher(&house);
        let life = house.broker.dialect().limits().websocket_duration;
        assert_eq!(life, Duration::from_secs(24 * 60 * 60));
        let end = house.now() + life;
        let mut asked = connect("dev", version);
        asked.keep_alive = 0;
        asked.will = will("will", "gone");
        let link = Link { ends: Some((end, Fault::WebsocketExpired)), ..House::link() };
        let mut client = house.try_connect_over(link, House::anybody(), asked).unwrap();
        client.connack();
        assert!(client.next_deadline() <= end);
        let mut left = life.as_secs() - 1;
        while left > 0 {
            let step = left.min(600);
            house.pass(step);
            left -= step;
            client.publish("alive", "x", QoS::AtMostOnce);
            watcher.publish("alive", "x", QoS::AtMostOnce);
            assert_eq!((client.on_time(), watcher.on_time()), (Flow::Continue, Flow::Continue));
        }
        assert!(client.take().is_empty());
        house.pass(1);
        assert_eq!(client.on_time(), Flow::Close);
        match version {
            Version::V5 => assert_ended(&mut client, &mut watcher, ReasonCode::AdministrativeAction),
            Version::V311 => {
                assert!(client.take().is_empty());
                assert_eq!(watcher.payloads(), ["gone"]);
            }
        }
        assert!(house.heard("WEBSOCKET_TTL_EXPIRATION"), "{:?}", house.events());
    }
}
