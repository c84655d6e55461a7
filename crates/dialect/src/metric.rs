//! AWS's metric names (namespace `AWS/IoT`) as far as the broker counts them.

use std::fmt;

macro_rules! metrics {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        /// A metric of namespace `AWS/IoT`. Source: developer guide, *AWS IoT metrics and dimensions*.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Metric {
            $(#[doc = $doc] $name,)*
        }

        impl Metric {
            /// All of them, in AWS's grouping.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// AWS's spelling, for example `PublishIn.AuthError`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What one count means.
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }

            /// The place in [`Self::ALL`].
            pub fn index(self) -> usize {
                self as usize
            }
        }
    };
}

metrics! {
    ConnectSuccess = "Connect.Success", "Connections accepted.";
    ConnectAuthError = "Connect.AuthError", "Connections refused by a policy.";
    ConnectClientError = "Connect.ClientError", "Connections refused because the CONNECT broke a rule.";
    ConnectClientIdThrottle = "Connect.ClientIDThrottle", "Connections refused: one client id connects too often.";
    ConnectThrottle = "Connect.Throttle", "Connections refused: the account connects too often.";
    ConnectServerError = "Connect.ServerError", "Connections refused because the broker failed.";
    ConnectionAuthNError = "Connection.AuthNError", "Connections that could not be authenticated.";
    PingSuccess = "Ping.Success", "PINGREQ answered.";
    PublishInSuccess = "PublishIn.Success", "Publishes accepted.";
    PublishInAuthError = "PublishIn.AuthError", "Publishes refused by a policy. Not counted for HTTP.";
    PublishInClientError = "PublishIn.ClientError", "Publishes refused because they broke a rule.";
    PublishInThrottle = "PublishIn.Throttle", "Publishes over a rate limit. Not counted for HTTP.";
    PublishInServerError = "PublishIn.ServerError", "Publishes refused because the broker failed.";
    PublishOutSuccess = "PublishOut.Success", "Messages sent to clients.";
    PublishOutAuthError = "PublishOut.AuthError", "Messages withheld because the receiver may not receive them.";
    PublishOutClientError = "PublishOut.ClientError", "Messages that a client could not take.";
    PublishOutThrottle = "PublishOut.Throttle", "Messages withheld by a rate or window limit.";
    PublishRetainedSuccess = "PublishRetained.Success", "Publishes with RETAIN accepted.";
    PublishRetainedAuthError = "PublishRetained.AuthError", "Publishes with RETAIN refused by a policy.";
    PublishRetainedThrottle = "PublishRetained.Throttle", "Publishes with RETAIN over a limit.";
    PublishRetainedServerError = "PublishRetained.ServerError", "Publishes with RETAIN refused because the broker failed.";
    QueuedSuccess = "Queued.Success", "Messages queued for clients that are away.";
    QueuedThrottle = "Queued.Throttle", "Messages not queued because of a limit.";
    QueuedServerError = "Queued.ServerError", "Messages not queued because the broker failed.";
    SubscribeSuccess = "Subscribe.Success", "Subscriptions granted.";
    SubscribeAuthError = "Subscribe.AuthError", "Subscriptions refused by a policy.";
    SubscribeClientError = "Subscribe.ClientError", "Subscriptions refused because they broke a rule.";
    SubscribeThrottle = "Subscribe.Throttle", "Subscriptions over a limit.";
    SubscribeServerError = "Subscribe.ServerError", "Subscriptions refused because the broker failed.";
    UnsubscribeSuccess = "Unsubscribe.Success", "Filters unsubscribed.";
    UnsubscribeClientError = "Unsubscribe.ClientError", "Unsubscriptions refused because they broke a rule.";
    UnsubscribeThrottle = "Unsubscribe.Throttle", "Unsubscriptions over a limit.";
    UnsubscribeServerError = "Unsubscribe.ServerError", "Unsubscriptions refused because the broker failed.";
    ProvisionThingSuccess = "ProvisionThing.Success", "Devices provisioned just in time.";
    ProvisionThingClientError = "ProvisionThing.ClientError", "Devices not provisioned because of template or certificate.";
    ProvisionThingServerError = "ProvisionThing.ServerError", "Devices not provisioned because the broker failed.";
    ThrottleExceeded = "Throttle.Exceeded", "Per-second limits of one connection passed.";
}

impl Metric {
    /// The Prometheus name without its ending `_total`: `PublishIn.Success` is `aws_iot_publish_in_success`.
    pub fn prometheus_name(self) -> String {
        let mut name = String::from("aws_iot");
        // AuthN is one word.
        for part in self.name().replace("AuthN", "Authn").split('.') {
            name.push('_');
            push_snake(&mut name, part);
        }
        name
    }
}

fn push_snake(name: &mut String, part: &str) {
    let letters: Vec<char> = part.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let after = letters.get(at + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|b| b.is_lowercase() || after.is_some_and(|a| a.is_lowercase()));
        if starts_word {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_places() {
        for (place, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(metric.index(), place, "{metric}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Metric::ALL.iter().map(|m| m.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Metric::COUNT);
    }

    #[test]
    fn names_follow_awss() {
        for (metric, name) in [
            (Metric::PublishInSuccess, "aws_iot_publish_in_success"),
            (Metric::ConnectClientIdThrottle, "aws_iot_connect_client_id_throttle"),
            (Metric::ConnectionAuthNError, "aws_iot_connection_authn_error"),
            (Metric::PublishRetainedServerError, "aws_iot_publish_retained_server_error"),
        ] {
            assert_eq!(metric.prometheus_name(), name);
        }
    }

    #[test]
    fn prometheus_names_are_legal_and_unique() {
        let mut names: Vec<_> = Metric::ALL.iter().map(|metric| metric.prometheus_name()).collect();
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !name.contains("__"))
        );
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Metric::COUNT);
    }
}
