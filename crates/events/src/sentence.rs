//! Events as sentences for people: who, what, why.

use std::fmt::{self, Display, Formatter};

use mqtt::Version;

use crate::*;

macro_rules! sentences {
    ($($name:ident $(<$life:lifetime>)? |$fact:ident, $f:ident| $sentence:expr;)*) => {
        $(impl Display for $name $(<$life>)? {
            fn fmt(&self, $f: &mut Formatter<'_>) -> fmt::Result {
                let $fact = self;
                $sentence
            }
        })*
    };
}

sentences! {
    Starting<'_> |e, f| write!(f, "thingcore {} (dialect {}, data in {})", e.version, e.dialect, e.data);
    Listening<'_> |e, f| write!(f, "{} on {}", e.listener, e.address);
    ServerCertificateReplaced<'_> |e, f| write!(f, "another server certificate is in service: {}", e.detail);
    Stopping |_e, f| f.write_str("the broker stops");
    ConnectionRefusedLimit<'_> |e, f|
        write!(f, "{} turned away at {}: it holds {} connections already", e.peer, e.listener, e.limit);
    PingAnswered<'_> |e, f| write!(f, "{} pinged", e.client);
    PublishRefused<'_> |e, f|
        write!(f, "{} published to {}: {}", e.origin, Name(e.topic), Why(e.fault, e.detail));
    PublishDenied<'_> |e, f| denied(f, &e.origin, e.action, Resource("topic", e.topic), e.decision);
    PublishOut<'_> |e, f|
        write!(f, "{} got {} (QoS {}, {} bytes)", e.client, Name(e.topic), e.qos as u8, e.bytes);
    ReceiveDenied<'_> |e, f| denied(f, &e.client, "iot:Receive", Resource("topic", e.topic), e.decision);
    Queued<'_> |e, f|
        write!(f, "{} is away: {} waits ({} bytes)", Name(e.client_id), Name(e.topic), e.bytes);
    DeliveryDropped<'_> |e, f|
        write!(f, "{} did not reach {}: {}", Name(e.topic), Name(e.client_id), Lower(e.why.doc()));
    DirectMessageRefused<'_> |e, f| write!(
        f,
        "{} sent {} directly to {}: {} ({})",
        e.origin,
        Name(e.topic),
        Name(e.client_id),
        e.detail,
        e.reason
    );
    Redelivered<'_> |e, f| write!(f, "{} got {} again (attempt {})", e.client, Name(e.topic), e.attempt);
    Acknowledged<'_> |e, f| write!(f, "{} acknowledged {}", e.client, e.packet_id);
    SubscribeReceived<'_> |e, f| write!(f, "{} asks for {} filters", e.client, e.filters);
    Subscribed<'_> |e, f|
        write!(f, "{} subscribed to {} (QoS {})", e.client, Name(e.filter), e.qos as u8);
    SubscribeRefused<'_> |e, f|
        write!(f, "{} subscribed to {}: {}", e.client, Name(e.filter), Why(e.fault, e.detail));
    SubscribeDenied<'_> |e, f|
        denied(f, &e.client, "iot:Subscribe", Resource("topicfilter", e.filter), e.decision);
    Unsubscribed<'_> |e, f| {
        let absent = if e.existed { "" } else { ", which it had not subscribed to" };
        write!(f, "{} unsubscribed from {}{absent}", e.client, Name(e.filter))
    };
    RetainedStored<'_> |e, f| write!(f, "{} is retained ({} bytes)", Name(e.topic), e.bytes);
    RetainedDeleted<'_> |e, f| write!(f, "{} is no longer retained", Name(e.topic));
    ThrottleExceeded<'_> |e, f| write!(f, "{} passed {} ({} in a second)", e.client, e.quota, e.value);
    RetainedFull<'_> |e, f| write!(f, "{} was not retained: {} messages are", Name(e.topic), e.limit);
    WillPublished<'_> |e, f| write!(f, "the will of {} went to {}", e.client, Name(e.topic));
    WillRefused<'_> |e, f|
        denied(f, &e.client, "iot:Publish (its will)", Resource("topic", e.topic), e.decision);
    SessionResumed<'_> |e, f|
        write!(f, "{} is back: {} subscriptions, {} messages waiting", e.client, e.subscriptions, e.queued);
    SessionExpired<'_> |e, f|
        write!(f, "the session of {} expired with {} messages waiting", Name(e.client_id), e.queued);
    ReservedUnserved<'_> |e, f|
        write!(f, "{} published to {}, which reaches nobody: {}", e.origin, Name(e.topic), e.missing);
    DivergenceObserved<'_> |e, f| {
        let (who, row) = (Name(e.client_id), e.divergence.row());
        write!(f, "{who}: {} ({}, in {}); the standard: {}", e.detail, e.divergence, e.packet, row.standard)
    };
    PolicyReloaded<'_> |e, f| write!(f, "policies of {} are in force (epoch {})", e.principal, e.epoch);
    CertificateDeactivated<'_> |e, f| write!(f, "{} is {}: its connections end", e.principal, e.status);
    CredentialRevoked<'_> |e, f| write!(f, "{}: {}: its connections end", e.principal, e.reason);
    CertificateRegistered<'_> |e, f| {
        let again = if e.repeated { ", again" } else { "" };
        let (id, ca) = (e.certificate_id, e.ca_certificate_id);
        write!(f, "certificate {id} of CA {ca} was shown{again}: it waits for its activation")
    };
    CertificateNotRegistered<'_> |e, f|
        write!(f, "certificate {} was not registered just in time: {}", e.certificate_id, e.detail);
    DeviceProvisioned<'_> |e, f| {
        let (id, ca) = (e.certificate_id, e.ca_certificate_id);
        match e.thing {
            "" => write!(f, "certificate {id} of CA {ca} was provisioned"),
            thing => write!(f, "thing {} was provisioned for certificate {id} of CA {ca}", Name(thing)),
        }
    };
    ProvisioningFailed<'_> |e, f| {
        let (id, ca) = (e.certificate_id, e.ca_certificate_id);
        write!(f, "certificate {id} of CA {ca} was not provisioned: {}", e.detail)
    };
    FeedLagged |_e, f| f.write_str("the feed of changes fell behind; everything is read again");
    StoreUnclosed |e, f| f.write_str(match e.torn {
        false => "the store had not been closed by the server before this one; its last commit holds",
        true => {
            "the store had not been closed by the server before this one, and its last commit does not hold: a loss of power tore \
             it before anybody was told of it, or its pages were damaged since; the commit before it counts"
        }
    });
    StoreFailed<'_> |e, f| write!(f, "the store failed at {}: {}", e.what, e.detail);
    ApiCall<'_> |e, f| {
        let millis = e.duration.as_millis();
        write!(f, "{} by {} answered {} in {millis} ms", e.operation, Key(e.access_key), e.status)
    };
    DeviceCall<'_> |e, f| {
        let about = if e.client_id.is_empty() { e.topic } else { e.client_id };
        write!(f, "{} by {} from {}", e.operation.as_str(), Name(e.caller), e.peer)?;
        if !about.is_empty() {
            write!(f, " about {}", Name(about))?;
        }
        e.error.map_or(Ok(()), |error| write!(f, ": {error}: {}", e.detail))
    };
    ApiRefused<'_> |e, f| {
        let operation = if e.operation.is_empty() { "a request" } else { e.operation };
        let who = Key(e.access_key);
        write!(f, "{operation} by {who} from {} refused: {}: {}", e.peer, e.error, e.message)
    };
    ExportFailed<'_> |e, f| write!(f, "the collector at {} did not take an export: {}", e.endpoint, e.detail);
    ExportResumed<'_> |e, f| write!(f, "the collector at {} takes exports again", e.endpoint);
    CostFinding<'_> |e, f| write!(f, "{} costs money ({}): {}", Name(e.subject), e.finding, e.detail);
    ConfigProblem<'_> |e, f| write!(f, "setting {}: {}", e.setting, e.detail);
}

impl Display for HandshakeFailed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be authenticated: {}: {}", self.peer, self.reason, self.detail)?;
        match self.server_name {
            Some(name) => write!(f, " (asked for {})", Name(name)),
            None => Ok(()),
        }
    }
}

impl Display for Connected<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let version = match self.client.version {
            Some(Version::V311) => "MQTT 3.1.1",
            Some(Version::V5) => "MQTT 5",
            None => "MQTT",
        };
        let session = match (self.clean, self.session_present) {
            (true, _) => "clean start",
            (false, true) => "session resumed",
            (false, false) => "new session",
        };
        write!(f, "{} connected ({version}, {session}, keep-alive {} s", self.client, self.keep_alive)?;
        match self.client.peer {
            Some(peer) => write!(f, ", from {peer})"),
            None => f.write_str(")"),
        }
    }
}

impl Display for ConnectRefused<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.fault == dialect::Fault::ConnectDenied {
            let resource = Resource("client", self.client.client_id);
            return denied(f, &self.client, "iot:Connect", resource, self.detail);
        }
        write!(f, "{} could not connect: {}", self.client, Why(self.fault, self.detail))
    }
}

impl Display for Disconnected<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} disconnected after {}: {}", self.client, Lasting(self.duration), self.reason)?;
        let detail = Quiet(self.detail);
        match self.fault {
            Some(fault) => write!(f, ": {}", Why(fault, self.detail)),
            None => write!(f, "{detail}"),
        }
    }
}

impl Display for PublishIn<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let retain = if self.retain { ", retained" } else { "" };
        let topic = Name(self.topic);
        write!(
            f,
            "{} published to {topic} (QoS {}, {} bytes{retain})",
            self.origin, self.qos as u8, self.bytes
        )
    }
}

fn denied(
    f: &mut Formatter<'_>,
    who: &dyn Display,
    action: &str,
    resource: Resource<'_>,
    decision: &dyn Display,
) -> fmt::Result {
    write!(f, "{who} may not {action} on {resource}: {decision}")
}

/// `kind/name`, the end of an ARN.
struct Resource<'a>(&'static str, &'a str);

impl Display for Resource<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

/// A name that may be missing.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(unknown)" } else { self.0 })
    }
}

/// An access key id that may be missing.
struct Key<'a>(&'a str);

impl Display for Key<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "nobody known" } else { self.0 })
    }
}

/// A fault and what exactly it was.
struct Why<'a>(dialect::Fault, &'a dyn Display);

impl Display for Why<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Lower(self.0.reason_string()), Quiet(self.1))
    }
}

/// A text with its first letter small, for the middle of a sentence.
struct Lower(&'static str);

impl Display for Lower {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = self.0.trim_end_matches('.');
        let mut letters = text.chars();
        match (letters.next(), letters.as_str()) {
            // An abbreviation such as QoS or CONNECT keeps its capital.
            (Some(first), rest)
                if rest.starts_with(|c: char| c.is_ascii_lowercase()) && !text.starts_with("QoS") =>
            {
                write!(f, "{}{rest}", first.to_ascii_lowercase())
            }
            _ => f.write_str(text),
        }
    }
}

/// `: detail`, or nothing if the detail says nothing.
struct Quiet<'a>(&'a dyn Display);

impl Display for Quiet<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        write!(AfterColon { out: f, begun: false }, "{}", self.0)
    }
}

struct AfterColon<'a, 'b> {
    out: &'a mut Formatter<'b>,
    begun: bool,
}

impl fmt::Write for AfterColon<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() {
            return Ok(());
        }
        if !self.begun {
            self.begun = true;
            self.out.write_str(": ")?;
        }
        self.out.write_str(text)
    }
}

/// A duration for people.
struct Lasting(std::time::Duration);

impl Display for Lasting {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            s @ 1..=119 => write!(f, "{s} s"),
            s @ 120..=7199 => write!(f, "{} min", s / 60),
            s => write!(f, "{} h", s / 3600),
        }
    }
}

#[cfg(test)]
mod tests;
