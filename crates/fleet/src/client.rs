//! One MQTT connection, seen from the client: connect, subscribe, read packets, write bytes.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt::{
    ConnAck, Connect, ConnectProperties, Decoder, Disconnect, Packet, PacketId, QoS, ReasonCode, Subscribe,
    SubscribeRequest, Text, Unsubscribe, Version,
};
use tokio::time::timeout;

use crate::fault::Fault;
use crate::link::Link;
use crate::target::Target;

/// Largest packet taken from a broker: AWS IoT's payload limit and room for everything around it.
const PACKET_MAX: u32 = 256 * 1024;
/// Longer than any run, so that no pings disturb it; AWS IoT's longest.
const KEEP_ALIVE_SECONDS: u16 = 1_200;
/// Who only listens must ping so often in a run that is longer than any of `thingcore bench`, or the broker takes it for gone.
pub const PING_EVERY: Duration = Duration::from_secs(300);
/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What AWS IoT takes unacknowledged from one client; a broker that allows less says so in CONNACK (MQTT 5).
const RECEIVE_MAXIMUM: u16 = 100;

/// Filters in one SUBSCRIBE: AWS takes no more.
const FILTERS_PER_PACKET: usize = 8;
/// SUBSCRIBE packets sent before their answers are awaited.
const SUBSCRIBES_AT_ONCE: usize = 16;

/// What becomes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// Begins and ends with the connection.
    Clean,
    /// Outlives the connection for an hour.
    Begin,
    /// Goes on where it was left, and outlives this connection, too.
    Resume,
}

/// Seconds that a session outlives its connection.
const SESSION_SECONDS: u32 = 3_600;

/// A connection that the broker accepted.
pub struct Client {
    link: Link,
    decoder: Decoder,
    version: Version,
    input: BytesMut,
    /// Messages that came before the answer that was waited for: no more than a filter brings at once.
    early: VecDeque<Packet>,
    /// What [`Client::flush`] will send.
    pub output: BytesMut,
    /// QoS 1 messages that the broker takes unacknowledged.
    pub receive_maximum: u16,
}

impl Client {
    /// Connects client number `number` under this name, with a clean session.
    pub async fn open(target: &Target, number: usize, client_id: &str) -> Result<Self, Fault> {
        Self::open_session(target, number, client_id, Stay::Clean).await
    }

    /// Connects with a session that may outlive the connection.
    pub async fn open_session(
        target: &Target,
        number: usize,
        client_id: &str,
        stay: Stay,
    ) -> Result<Self, Fault> {
        let link = Link::open(target, number);
        let link = timeout(PATIENCE, link).await.map_err(|_| Fault::Timeout("connection"))??;
        let mut client = Self {
            link,
            decoder: Decoder::for_client(target.version, PACKET_MAX),
            version: target.version,
            input: BytesMut::new(),
            early: VecDeque::new(),
            output: BytesMut::new(),
            receive_maximum: RECEIVE_MAXIMUM,
        };
        client.push(&Packet::Connect(Box::new(greeting(target, client_id, stay)?)))?;
        match client.answer("CONNACK").await? {
            Packet::ConnAck(answer) => client.accepted(&answer)?,
            other => return Err(Fault::Unexpected(other.name())),
        }
        Ok(client)
    }

    fn accepted(&mut self, answer: &ConnAck) -> Result<(), Fault> {
        if answer.code.is_failure() {
            return Err(Fault::Refused("CONNECT", answer.code));
        }
        if let Some(less) = answer.properties.receive_maximum {
            self.receive_maximum = less;
        }
        Ok(())
    }

    /// Subscribes to one filter and waits for the answer.
    pub async fn subscribe(&mut self, filter: &str, qos: QoS) -> Result<(), Fault> {
        self.subscribe_all(&[filter.to_owned()], qos).await
    }

    /// Subscribes to many filters, many in a packet and many packets on their way.
    pub async fn subscribe_all(&mut self, filters: &[String], qos: QoS) -> Result<(), Fault> {
        for batch in filters.chunks(FILTERS_PER_PACKET * SUBSCRIBES_AT_ONCE) {
            let (mut id, mut sent) = (PacketId::FIRST, 0);
            for few in batch.chunks(FILTERS_PER_PACKET) {
                let request = |filter: &String| Ok(SubscribeRequest::new(text(filter)?, qos));
                self.push(&Packet::Subscribe(Subscribe {
                    packet_id: id,
                    subscription_identifier: None,
                    user_properties: Default::default(),
                    filters: few.iter().map(request).collect::<Result<_, Fault>>()?,
                }))?;
                (id, sent) = (id.following(), sent + 1);
            }
            for _ in 0..sent {
                self.subscribed().await?;
            }
        }
        Ok(())
    }

    /// Takes a SUBACK. Messages of other filters may come before it.
    async fn subscribed(&mut self) -> Result<(), Fault> {
        loop {
            match self.answer("SUBACK").await? {
                Packet::SubAck(answer) => match answer.codes.iter().find(|code| code.is_failure()) {
                    Some(code) => return Err(Fault::Refused("SUBSCRIBE", *code)),
                    None => return Ok(()),
                },
                message @ Packet::Publish(_) => self.early.push_back(message),
                other => return Err(Fault::Unexpected(other.name())),
            }
        }
    }

    /// Gives a filter back and waits for the answer. Messages may come before it.
    ///
    /// # Errors
    /// The broker refuses, is silent or gone.
    pub async fn unsubscribe(&mut self, filters: &[String]) -> Result<(), Fault> {
        let packet_id = PacketId::FIRST;
        self.push(&Packet::Unsubscribe(Unsubscribe {
            packet_id,
            filters: filters.iter().map(|filter| text(filter)).collect::<Result<_, Fault>>()?,
            user_properties: Default::default(),
        }))?;
        loop {
            match self.answer("UNSUBACK").await? {
                Packet::UnsubAck(answer) => match answer.codes.iter().find(|code| code.is_failure()) {
                    Some(code) => return Err(Fault::Refused("UNSUBSCRIBE", *code)),
                    None => return Ok(()),
                },
                message @ Packet::Publish(_) => self.early.push_back(message),
                other => return Err(Fault::Unexpected(other.name())),
            }
        }
    }

    /// Sends what is pending and waits for one packet.
    async fn answer(&mut self, what: &'static str) -> Result<Packet, Fault> {
        let wait = async {
            self.flush().await?;
            loop {
                if let Some(packet) = self.decode()? {
                    return Ok(packet);
                }
                self.fill().await.map_err(|fault| match fault {
                    Fault::Closed => Fault::ClosedBefore(what),
                    other => other,
                })?;
            }
        };
        timeout(PATIENCE, wait).await.map_err(|_| Fault::Timeout(what))?
    }

    /// Appends a packet to what will be sent.
    pub fn push(&mut self, packet: &Packet) -> Result<(), Fault> {
        mqtt::encode(packet, self.version, &mut self.output)
            .map_err(|error| Fault::Unsayable(error.to_string()))
    }

    /// Sends what is pending.
    pub async fn flush(&mut self) -> Result<(), Fault> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.link.send(&self.output).await.map_err(gone)?;
        self.output.clear();
        Ok(())
    }

    /// Waits for bytes. Loses nothing when dropped.
    pub async fn fill(&mut self) -> Result<(), Fault> {
        match self.link.receive(&mut self.input).await.map_err(gone)? {
            0 => Err(Fault::Closed),
            _ => Ok(()),
        }
    }

    /// The next packet that has arrived whole. A broker's goodbye is a fault.
    pub fn take(&mut self) -> Result<Option<Packet>, Fault> {
        match self.early.pop_front() {
            Some(packet) => Ok(Some(packet)),
            None => self.decode(),
        }
    }

    fn decode(&mut self) -> Result<Option<Packet>, Fault> {
        loop {
            match self.decoder.decode(&mut self.input).map_err(Fault::Malformed)? {
                Some(Packet::Disconnect(goodbye)) => return Err(Fault::Disconnected(goodbye.code)),
                Some(Packet::PingResp) => {}
                packet => return Ok(packet),
            }
        }
    }

    /// Says that it is there. The answer is swallowed by [`Client::take`].
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn ping(&mut self) -> Result<(), Fault> {
        self.push(&Packet::PingReq)?;
        self.flush().await
    }

    /// Gives the read buffer's memory back: for a connection that waits long.
    pub fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        self.output = BytesMut::new();
    }

    /// Says goodbye and closes.
    pub async fn close(mut self) -> Result<(), Fault> {
        self.push(&Packet::Disconnect(Disconnect {
            code: ReasonCode::Success,
            session_expiry_interval: None,
            reason_string: None,
            user_properties: Default::default(),
            server_reference: None,
        }))?;
        self.flush().await?;
        self.link.close().await.map_err(gone)
    }
}

/// An end without manners is an end.
fn gone(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Fault::Closed
        }
        _ => Fault::Transport(error),
    }
}

fn greeting(target: &Target, client_id: &str, stay: Stay) -> Result<Connect, Fault> {
    let (user, password) = match &target.user {
        Some((user, password)) => (Some(text(user)?), password.clone().map(Bytes::from)),
        None => (None, None),
    };
    let mut properties = ConnectProperties::default();
    if target.version == Version::V5 && stay != Stay::Clean {
        properties.session_expiry_interval = Some(SESSION_SECONDS);
    }
    // In 3.1.1 the flag decides about the session's end, too.
    let clean_start = match target.version {
        Version::V311 => stay == Stay::Clean,
        Version::V5 => stay != Stay::Resume,
    };
    Ok(Connect {
        version: target.version,
        clean_start,
        keep_alive: KEEP_ALIVE_SECONDS,
        client_id: text(client_id)?,
        user_name: user,
        password,
        will: None,
        properties,
    })
}

/// A string as MQTT says it.
pub fn text(string: &str) -> Result<Text, Fault> {
    Text::try_from(string).map_err(|error| Fault::Unsayable(error.to_string()))
}
