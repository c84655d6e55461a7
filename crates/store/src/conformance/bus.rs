//! Forwarding by interest between two nodes.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;

use bytes::Bytes;

use super::{Promise, done};
use crate::bus::MAX_TOPIC_BYTES;
use crate::{Bus, Inbox, Interest, Limit, StoreError, block_on};

pub(super) struct Nodes {
    pub(super) here: Arc<dyn Bus>,
    pub(super) there: Arc<dyn Bus>,
}

pub(super) const PROMISES: &[Promise<Nodes>] = &[
    Promise { name: "messages reach a node with interest, in order", check: in_order },
    Promise { name: "a node does not hear itself", check: not_itself },
    Promise { name: "wildcards count as interest", check: wildcards },
    Promise { name: "interest ends", check: interest_ends },
    Promise { name: "a waiting inbox is woken", check: wakes },
    Promise { name: "long topics are refused", check: limits },
];

fn send(bus: &Arc<dyn Bus>, topic: &str, body: &'static str) {
    done(bus.forward(topic, Bytes::from(body)));
}

/// Reads the inbox up to the message with body `end`; answers the topics before it.
fn topics_before_end(inbox: &mut Box<dyn Inbox>) -> Vec<String> {
    let mut topics = Vec::new();
    loop {
        for message in block_on(inbox.next()).unwrap() {
            if message.body == "end" {
                return topics;
            }
            topics.push(message.topic.into_string());
        }
    }
}

fn in_order(nodes: &Arc<Nodes>) {
    done(nodes.there.interest("a/b", Interest::Gained));
    done(nodes.there.interest("end", Interest::Gained));
    let (mut inbox, mut other) = (nodes.there.inbox(), nodes.there.inbox());
    for body in ["1", "2", "3"] {
        send(&nodes.here, "a/b", body);
    }
    send(&nodes.here, "end", "end");
    assert_eq!(topics_before_end(&mut inbox), ["a/b"; 3]);
    assert_eq!(topics_before_end(&mut other), ["a/b"; 3]);
}

fn not_itself(nodes: &Arc<Nodes>) {
    done(nodes.here.interest("#", Interest::Gained));
    let mut inbox = nodes.here.inbox();
    send(&nodes.here, "a", "mine");
    send(&nodes.there, "a", "theirs");
    send(&nodes.there, "a", "end");
    assert_eq!(topics_before_end(&mut inbox), ["a"]);
}

fn wildcards(nodes: &Arc<Nodes>) {
    for filter in ["a/+/c", "b/#", "end"] {
        done(nodes.there.interest(filter, Interest::Gained));
    }
    let mut inbox = nodes.there.inbox();
    for topic in ["a/b/c", "a//c", "b/c/d", "b/"] {
        send(&nodes.here, topic, "v");
    }
    send(&nodes.here, "end", "end");
    assert_eq!(topics_before_end(&mut inbox), ["a/b/c", "a//c", "b/c/d", "b/"]);
}

fn interest_ends(nodes: &Arc<Nodes>) {
    for filter in ["a", "end"] {
        done(nodes.there.interest(filter, Interest::Gained));
    }
    done(nodes.there.interest("a", Interest::Gained));
    done(nodes.there.interest("a", Interest::Lost));
    done(nodes.there.interest("never-stated", Interest::Lost));
    let mut inbox = nodes.there.inbox();
    send(&nodes.here, "end", "v");
    send(&nodes.here, "end", "end");
    assert_eq!(topics_before_end(&mut inbox), ["end"]);
}

fn wakes(nodes: &Arc<Nodes>) {
    done(nodes.there.interest("a", Interest::Gained));
    let mut inbox = nodes.there.inbox();
    assert!(inbox.next().as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    thread::scope(|scope| {
        let reader = scope.spawn(move || topics_before_end(&mut inbox));
        send(&nodes.here, "a", "v");
        send(&nodes.here, "a", "end");
        assert_eq!(reader.join().unwrap(), ["a"]);
    });
}

fn limits(nodes: &Arc<Nodes>) {
    let long = "t".repeat(MAX_TOPIC_BYTES + 1);
    for refused in [
        block_on(nodes.here.forward(&long, Bytes::new())),
        block_on(nodes.here.interest(&long, Interest::Gained)),
    ] {
        assert!(matches!(refused, Err(StoreError::Limit { what: Limit::TopicBytes, .. })), "{refused:?}");
    }
}
