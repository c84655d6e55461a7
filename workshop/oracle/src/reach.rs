//! What policies let through, by trying: every client id, filter and topic of some short texts.

use serde_json::Value;

use crate::policy::{Context, decide};
use crate::topics::{is_filter, matches};

const SITE: &str = "arn:aws:iot:us-east-1:123456789012:";

/// One connection: its policies, its client id, and whether it is attached to the thing of that name.
#[derive(Clone, Copy)]
pub struct Connection<'a> {
    /// The documents.
    pub documents: &'a [Value],
    /// The client id.
    pub client_id: &'a str,
    /// Whether there is a thing.
    pub attached: bool,
}

impl Connection<'_> {
    fn context(&self) -> Context {
        let mut context = Context::from([("iot:ClientId".to_owned(), vec![self.client_id.to_owned()])]);
        context.insert("iot:Connection.Thing.IsAttached".to_owned(), vec![self.attached.to_string()]);
        if self.attached {
            context.insert("iot:Connection.Thing.ThingName".to_owned(), vec![self.client_id.to_owned()]);
        }
        context
    }

    /// Whether the policies allow an action on a resource of a kind.
    #[must_use]
    pub fn may(&self, action: &str, kind: &str, name: &str) -> bool {
        decide(self.documents, action, &format!("{SITE}{kind}/{name}"), &self.context()) == "ALLOWED"
    }

    /// Whether it may connect at all.
    #[must_use]
    pub fn connects(&self) -> bool {
        let thing = |c: char| c.is_ascii_alphanumeric() || "_:-".contains(c);
        (!self.attached || self.client_id.chars().all(thing))
            && self.may("iot:Connect", "client", self.client_id)
    }
}

/// A reader, its filter, a writer with another client id, and a topic between them; the first that is found.
pub fn leak(
    reader: &[Value],
    writer: &[Value],
    attached: (bool, bool),
    client_ids: &[String],
    texts: &[String],
) -> Option<[String; 4]> {
    let topics = || texts.iter().filter(|text| !text.contains(['+', '#']));
    let mut gets: Vec<(&String, &String, &String)> = Vec::new();
    for client_id in client_ids {
        let one = Connection { documents: reader, client_id, attached: attached.0 };
        if one.connects() {
            gets.extend(received(one, texts).into_iter().map(|(filter, topic)| (client_id, filter, topic)));
        }
    }
    for client_id in client_ids {
        let other = Connection { documents: writer, client_id, attached: attached.1 };
        if !other.connects() {
            continue;
        }
        for topic in topics().filter(|topic| other.may("iot:Publish", "topic", topic)) {
            let leak = gets.iter().find(|(reads, _, got)| *reads != client_id && *got == topic);
            if let Some((reads, filter, _)) = leak {
                return Some([reads, filter, client_id, topic].map(|text| (*text).clone()));
            }
        }
    }
    None
}

/// What a connection gets, with one filter for each topic.
#[must_use]
pub fn received<'t>(of: Connection<'_>, texts: &'t [String]) -> Vec<(&'t String, &'t String)> {
    let granted: Vec<&String> =
        texts.iter().filter(|text| is_filter(text) && of.may("iot:Subscribe", "topicfilter", text)).collect();
    let topics =
        texts.iter().filter(|text| !text.contains(['+', '#']) && of.may("iot:Receive", "topic", text));
    let through = |topic: &String| granted.iter().find(|filter| matches(filter, topic, false)).copied();
    topics.filter_map(|topic| Some((through(topic)?, topic))).collect()
}
