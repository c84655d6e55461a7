//! One MQTT connection, seen from the client: connect, subscribe, read packets, write bytes.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use mqtt::{
    ConnAck, Connect, ConnectProperties, Decoder, Disconnect, Packet, PacketId, QoS, ReasonCode, Subscribe,
    SubscribeRequest, Text, Version,
};
use smallvec::smallvec;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::fault::Fault;
use crate::target::Target;

/// Largest packet taken from a broker: AWS IoT's payload limit and room for everything around it.
const PACKET_MAX: u32 = 256 * 1024;
/// Bytes asked of the socket at once.
const READ_BYTES: usize = 16 * 1024;
/// Longer than any run, so that no pings disturb it; AWS IoT's longest.
const KEEP_ALIVE_SECONDS: u16 = 1_200;
/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What AWS IoT takes unacknowledged from one client; a broker that allows less says so in CONNACK (MQTT 5).
const RECEIVE_MAXIMUM: u16 = 100;

/// A socket, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that the broker accepted.
pub struct Client {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    version: Version,
    input: BytesMut,
    /// What [`Client::flush`] will send.
    pub output: BytesMut,
    /// QoS 1 messages that the broker takes unacknowledged.
    pub receive_maximum: u16,
}

impl Client {
    /// Connects client number `number` under this name, with a clean session.
    pub async fn open(target: &Target, number: usize, client_id: &str) -> Result<Self, Fault> {
        let stream =
            timeout(PATIENCE, dial(target, number)).await.map_err(|_| Fault::Timeout("TCP or TLS"))??;
        let mut client = Self {
            stream,
            decoder: Decoder::for_client(target.version, PACKET_MAX),
            version: target.version,
            input: BytesMut::new(),
            output: BytesMut::new(),
            receive_maximum: RECEIVE_MAXIMUM,
        };
        client.push(&Packet::Connect(Box::new(Connect {
            version: target.version,
            clean_start: true,
            keep_alive: KEEP_ALIVE_SECONDS,
            client_id: text(client_id)?,
            user_name: None,
            password: None,
            will: None,
            properties: ConnectProperties::default(),
        })))?;
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

    /// Subscribes and waits for the answer.
    pub async fn subscribe(&mut self, filter: &str, qos: QoS) -> Result<(), Fault> {
        self.push(&Packet::Subscribe(Subscribe {
            packet_id: PacketId::FIRST,
            subscription_identifier: None,
            user_properties: Default::default(),
            filters: smallvec![SubscribeRequest::new(text(filter)?, qos)],
        }))?;
        match self.answer("SUBACK").await? {
            Packet::SubAck(answer) => match answer.codes.iter().find(|code| code.is_failure()) {
                Some(code) => Err(Fault::Refused("SUBSCRIBE", *code)),
                None => Ok(()),
            },
            other => Err(Fault::Unexpected(other.name())),
        }
    }

    /// Sends what is pending and waits for one packet.
    async fn answer(&mut self, what: &'static str) -> Result<Packet, Fault> {
        let wait = async {
            self.flush().await?;
            loop {
                if let Some(packet) = self.take()? {
                    return Ok(packet);
                }
                self.fill().await?;
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
        self.stream.write_all(&self.output).await.map_err(Fault::Transport)?;
        self.output.clear();
        self.stream.flush().await.map_err(Fault::Transport)
    }

    /// Waits for bytes. Loses nothing when dropped.
    pub async fn fill(&mut self) -> Result<(), Fault> {
        self.input.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(Fault::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Fault::Closed),
            Err(error) => Err(Fault::Transport(error)),
        }
    }

    /// The next packet that has arrived whole. A broker's goodbye is a fault.
    pub fn take(&mut self) -> Result<Option<Packet>, Fault> {
        match self.decoder.decode(&mut self.input).map_err(Fault::Malformed)? {
            Some(Packet::Disconnect(goodbye)) => Err(Fault::Disconnected(goodbye.code)),
            packet => Ok(packet),
        }
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
        self.stream.shutdown().await.map_err(Fault::Transport)
    }
}

async fn dial(target: &Target, number: usize) -> Result<Box<dyn Stream>, Fault> {
    let stream = target.dial(number).await?;
    Ok(match &target.tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.handshake(number, stream).await?),
    })
}

/// A string as MQTT says it.
pub fn text(string: &str) -> Result<Text, Fault> {
    Text::try_from(string).map_err(|error| Fault::Unsayable(error.to_string()))
}
