//! What can go wrong: with one connection ([`Fault`]), or with the whole run ([`BenchError`]).

use std::fmt;
use std::io;
use std::path::PathBuf;

use mqtt::{Malformed, ReasonCode};

/// `EMFILE` and `ENFILE`: the process, or the machine, has no more descriptors.
const NO_DESCRIPTORS: [i32; 2] = [24, 23];

/// Why one connection ended, or was never made.
#[derive(Debug)]
pub enum Fault {
    /// TCP could not connect.
    Dial(io::Error),
    /// The TLS handshake failed.
    Handshake(io::Error),
    /// The upgrade to a WebSocket failed.
    Upgrade(String),
    /// Reading or writing failed.
    Transport(io::Error),
    /// The broker closed the connection.
    Closed,
    /// The broker closed the connection instead of giving this answer.
    ClosedBefore(&'static str),
    /// The broker said goodbye (MQTT 5 DISCONNECT).
    Disconnected(ReasonCode),
    /// The broker's bytes are no MQTT.
    Malformed(Malformed),
    /// CONNACK, SUBACK or PUBACK said no.
    Refused(&'static str, ReasonCode),
    /// Another packet than the one that must come now.
    Unexpected(&'static str),
    /// No answer in time.
    Timeout(&'static str),
    /// We cannot say this in MQTT.
    Unsayable(String),
}

impl Fault {
    /// A short name for counting faults of one kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Dial(_) => "dial",
            Self::Handshake(_) => "tls-handshake",
            Self::Upgrade(_) => "websocket-upgrade",
            Self::Transport(_) => "transport",
            Self::Closed => "closed-by-broker",
            Self::ClosedBefore(_) => "closed-before-answer",
            Self::Disconnected(_) => "disconnected-by-broker",
            Self::Malformed(_) => "malformed",
            Self::Refused(..) => "refused",
            Self::Unexpected(_) => "unexpected-packet",
            Self::Timeout(_) => "timeout",
            Self::Unsayable(_) => "unsayable",
        }
    }

    /// What to look at, if that is known.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Dial(error) if error.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code)) => {
                "no more descriptors: raise `ulimit -n`, or take fewer --clients"
            }
            Self::Dial(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "nobody listens there: is the broker running, and are --host and --port right?"
            }
            Self::Handshake(_) => "are --ca, --cert and --key those of this broker, and is it a TLS port?",
            Self::ClosedBefore("CONNACK") | Self::Refused("CONNECT", ReasonCode::NotAuthorized) => {
                "may this client connect under this client id (iot:Connect), and is it registered and active? \
                 `thingcore why CLIENT-ID` tells"
            }
            Self::Timeout("CONNACK") | Self::Malformed(_) => {
                "is this an MQTT port, and does it expect what --transport says?"
            }
            Self::Refused(_, ReasonCode::QuotaExceeded) => {
                "a quota of the broker: fewer clients, filters or messages, or another profile of quotas"
            }
            Self::ClosedBefore("SUBACK") | Self::Refused("SUBSCRIBE", _) => {
                "the policy must allow iot:Subscribe on the topicfilter, and iot:Receive on the topic, below --prefix"
            }
            Self::Closed | Self::Disconnected(_) => {
                "brokers do that when a policy denies (iot:Publish below --prefix), a quota is used up, or another \
                 client takes the client id; `thingcore why CLIENT-ID` tells"
            }
            _ => return None,
        })
    }

    fn what(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => write!(out, "cannot connect: {error}"),
            Self::Handshake(error) => write!(out, "TLS handshake failed: {error}"),
            Self::Upgrade(why) => write!(out, "the WebSocket was refused: {why}"),
            Self::Transport(error) => write!(out, "connection failed: {error}"),
            Self::Closed => out.write_str("the broker closed the connection"),
            Self::ClosedBefore(what) => {
                write!(out, "the broker closed the connection instead of sending {what}")
            }
            Self::Disconnected(code) => {
                write!(out, "the broker disconnected: {} (0x{:02x})", code.name(), code.code())
            }
            Self::Malformed(error) => write!(out, "the broker sent no MQTT: {error}"),
            Self::Refused(what, code) => {
                write!(out, "the broker refused {what}: {} (0x{:02x})", code.name(), code.code())
            }
            Self::Unexpected(packet) => write!(out, "the broker sent {packet} out of turn"),
            Self::Timeout(what) => write!(out, "no {what} in time"),
            Self::Unsayable(why) => out.write_str(why),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what(out)?;
        self.hint().map_or(Ok(()), |hint| write!(out, " ({hint})"))
    }
}

/// Why a run gives no result, or one that must not be trusted.
#[derive(Debug)]
pub enum BenchError {
    /// An option or a file it names is unusable.
    Option(String),
    /// A client could not get ready, so the pattern would not be the one asked for: who, and why.
    NotReady(String, Fault),
    /// Nothing arrived: there is no rate to tell.
    NothingDelivered(String),
    /// Clients were lost on the way, or publishes refused, or the rate not kept.
    NotTheLoad(String),
    /// More connections than this process may have descriptors: needed, and allowed.
    Descriptors(u64, u64),
    /// `/proc` does not tell about the broker.
    Process(u32, io::Error),
    /// A broker did not start.
    Broker(PathBuf, String),
    /// Stopped by a signal.
    Interrupted(&'static str),
}

impl fmt::Display for BenchError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(why) | Self::NothingDelivered(why) | Self::NotTheLoad(why) => out.write_str(why),
            Self::NotReady(who, fault) => write!(out, "client {who} could not get ready: {fault}"),
            Self::Descriptors(needed, allowed) => write!(
                out,
                "{needed} descriptors are needed and this process may have {allowed}: raise the limit \
                 (`ulimit -n {needed}`), or take fewer clients"
            ),
            Self::Process(pid, error) => {
                write!(out, "/proc does not tell about process {pid}: {error}; is --broker-pid right?")
            }
            Self::Broker(path, why) => write!(out, "{} did not start: {why}", path.display()),
            Self::Interrupted(signal) => write!(out, "stopped by {signal}; no result"),
        }
    }
}

impl std::error::Error for BenchError {}
