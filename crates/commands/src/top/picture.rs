//! What `thingcore top` shows, made of two looks at the server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telemetry::{Busy, TopSnapshot};

/// Rows of each list.
const ROWS: usize = 10;

/// One picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Picture {
    /// Seconds since 1970.
    pub at: f64,
    /// Seconds between the two looks.
    pub over: f64,
    /// Connections open now.
    pub connections: i64,
    /// In a second, between the two looks.
    pub rates: Rates,
    /// The busiest clients.
    pub clients: Vec<Row>,
    /// Clients that read too slowly or pass a limit.
    pub troubled: Vec<Row>,
    /// The busiest topics.
    pub topics: Vec<Row>,
    /// What was refused, dropped or ended with a fault since the start, most first.
    pub refusals: Vec<Refusal>,
    /// Queues, disk, memory: by the names of the metrics.
    pub house: BTreeMap<String, i64>,
}

/// So many in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rates {
    /// Messages taken.
    pub messages_in: f64,
    /// Messages sent.
    pub messages_out: f64,
    /// Bytes of payload taken.
    pub bytes_in: f64,
    /// Bytes of payload sent.
    pub bytes_out: f64,
    /// Connections made.
    pub connects: f64,
    /// Subscriptions granted.
    pub subscribes: f64,
    /// Things refused, dropped or turned away.
    pub refused: f64,
}

/// A client or topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Client id or topic.
    pub name: String,
    /// Messages published in a second.
    pub messages_in: f64,
    /// Messages delivered in a second.
    pub messages_out: f64,
    /// Bytes of payload in a second, both ways.
    pub bytes: f64,
    /// Deliveries dropped within the last seconds.
    pub dropped: u64,
    /// Limits passed within the last seconds.
    pub throttled: u64,
}

/// How often something was refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// `metric Connect.AuthError`, `handshake NOT_AUTHENTICATED`, `drop QUEUE_FULL`, `ending CONNECTION_LOST`.
    pub reason: String,
    /// Since the start.
    pub count: u64,
    /// In a second, between the two looks.
    pub rate: f64,
}

impl Picture {
    /// Of what was seen `before` and `now`.
    pub fn between(before: &TopSnapshot, now: &TopSnapshot) -> Self {
        let over = (now.at - before.at).max(0.001);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / over;
        let aws = |name: &str| {
            let count = |look: &TopSnapshot| look.totals.aws.get(name).copied().unwrap_or_default();
            rate(count(now), count(before))
        };
        let refusals = refusals(before, now, over);
        let rates = Rates {
            messages_in: aws("PublishIn.Success"),
            messages_out: aws("PublishOut.Success"),
            bytes_in: rate(now.totals.bytes_in, before.totals.bytes_in),
            bytes_out: rate(now.totals.bytes_out, before.totals.bytes_out),
            connects: aws("Connect.Success"),
            subscribes: aws("Subscribe.Success"),
            refused: refusals
                .iter()
                .filter(|one| !one.reason.starts_with("ending"))
                .map(|one| one.rate)
                .fold(0.0, |sum, rate| sum + rate), // The sum of nothing would be -0.0.
        };
        let seconds = now.traffic.seconds.max(1.0);
        let rows = |list: &[Busy]| list.iter().take(ROWS).map(|busy| row(busy, seconds)).collect();
        Self {
            at: now.at,
            over,
            connections: now.totals.connections,
            rates,
            clients: rows(&now.traffic.clients),
            troubled: rows(&now.traffic.troubled),
            topics: rows(&now.traffic.topics),
            refusals,
            house: now.totals.watched.clone(),
        }
    }
}

fn row(busy: &Busy, seconds: f64) -> Row {
    let counts = &busy.counts;
    Row {
        name: busy.name.clone(),
        messages_in: counts.published as f64 / seconds,
        messages_out: counts.delivered as f64 / seconds,
        bytes: counts.bytes as f64 / seconds,
        dropped: counts.dropped,
        throttled: counts.throttled,
    }
}

/// All that was not to be, by reason.
fn refusals(before: &TopSnapshot, now: &TopSnapshot, over: f64) -> Vec<Refusal> {
    let mut all = Vec::new();
    let (then, totals) = (&before.totals, &now.totals);
    let groups = [
        ("metric", &then.aws, &totals.aws),
        ("handshake", &then.handshake_failures, &totals.handshake_failures),
        ("drop", &then.drops, &totals.drops),
        ("ending", &then.endings, &totals.endings),
    ];
    for (word, before, now) in groups {
        for (name, count) in now.iter().filter(|(name, _)| is_trouble(word, name)) {
            let earlier = before.get(name).copied().unwrap_or_default();
            let rate = count.saturating_sub(earlier) as f64 / over;
            all.push(Refusal { reason: format!("{word} {name}"), count: *count, rate });
        }
    }
    all.sort_by(|a, b| b.rate.total_cmp(&a.rate).then(b.count.cmp(&a.count)));
    all
}

fn is_trouble(word: &str, name: &str) -> bool {
    match word {
        // What else these count is shown under its own reason.
        "metric" => {
            !name.ends_with(".Success") && name != "Connection.AuthNError" && !name.ends_with("Exceeded")
        }
        "ending" => name != "CLIENT_INITIATED_DISCONNECT",
        _ => true,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use telemetry::Counts;

    pub fn looks() -> (TopSnapshot, TopSnapshot) {
        let mut before = TopSnapshot { at: 100.0, ..TopSnapshot::default() };
        before.totals.aws.insert("PublishIn.Success".into(), 10);
        let mut now = TopSnapshot { at: 102.0, ..before.clone() };
        now.totals.connections = 7;
        now.totals.bytes_in = 2048;
        now.totals.aws.insert("PublishIn.Success".into(), 30);
        now.totals.aws.insert("Connect.AuthError".into(), 4);
        now.totals.endings.insert("CLIENT_INITIATED_DISCONNECT".into(), 9);
        now.totals.endings.insert("CONNECTION_LOST".into(), 1);
        now.totals.handshake_failures.insert("NOT_AUTHENTICATED".into(), 1);
        now.totals.watched.insert("thingcore_store_waiting".into(), 3);
        let counts = Counts { published: 20, bytes: 200, throttled: 2, ..Counts::default() };
        let busy = Busy { name: "sensor-7".into(), counts };
        now.traffic.seconds = 10.0;
        now.traffic.clients.push(busy.clone());
        now.traffic.troubled.push(busy);
        now.traffic.topics.push(Busy { name: "dev/7".into(), counts });
        (before, now)
    }

    #[test]
    fn rates_are_differences_over_time() {
        let (before, now) = looks();
        let picture = Picture::between(&before, &now);
        assert_eq!((picture.connections, picture.over), (7, 2.0));
        assert_eq!((picture.rates.messages_in, picture.rates.bytes_in), (10.0, 1024.0));
        assert_eq!(picture.rates.refused, 2.5);
        assert_eq!((picture.clients[0].messages_in, picture.troubled[0].throttled), (2.0, 2));
        let reasons: Vec<_> = picture.refusals.iter().map(|one| one.reason.as_str()).collect();
        assert_eq!(
            reasons,
            ["metric Connect.AuthError", "handshake NOT_AUTHENTICATED", "ending CONNECTION_LOST"]
        );
    }

    #[test]
    fn nothing_refused_is_no_negative_zero() {
        let nothing = Picture::between(&TopSnapshot::default(), &TopSnapshot::default());
        assert!(format!("{:?}", nothing.rates).contains("refused: 0.0"), "{:?}", nothing.rates);
    }

    #[test]
    fn a_server_that_began_anew_has_no_negative_rates() {
        let (before, now) = looks();
        let picture = Picture::between(&now, &before);
        assert_eq!(picture.rates.messages_in, 0.0);
    }
}
