//! What can go wrong: with one connection ([`Fault`]), or with the whole run ([`BenchError`]).

use std::fmt;
use std::io;
use std::path::PathBuf;

use mqtt::{Malformed, ReasonCode};

/// Why one connection ended, or was never made.
#[derive(Debug)]
pub enum Fault {
    /// TCP could not connect.
    Dial(io::Error),
    /// The TLS handshake failed.
    Handshake(io::Error),
    /// Reading or writing failed.
    Transport(io::Error),
    /// The broker closed the connection.
    Closed,
    /// The broker said goodbye (MQTT 5 DISCONNECT).
    Disconnected(ReasonCode),
    /// The broker's bytes are no MQTT.
    Malformed(Malformed),
    /// CONNACK or SUBACK said no.
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
            Self::Transport(_) => "transport",
            Self::Closed => "closed-by-broker",
            Self::Disconnected(_) => "disconnected-by-broker",
            Self::Malformed(_) => "malformed",
            Self::Refused(..) => "refused",
            Self::Unexpected(_) => "unexpected-packet",
            Self::Timeout(_) => "timeout",
            Self::Unsayable(_) => "unsayable",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => write!(out, "cannot connect: {error}"),
            Self::Handshake(error) => write!(out, "TLS handshake failed: {error}"),
            Self::Transport(error) => write!(out, "connection failed: {error}"),
            Self::Closed => out.write_str("the broker closed the connection"),
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

/// Why a run gives no result, or one that must not be trusted.
#[derive(Debug)]
pub enum BenchError {
    /// An option or a file it names is unusable.
    Option(String),
    /// A client could not get ready, so the pattern would not be the one asked for.
    NotReady(Fault),
    /// Nothing arrived: there is no rate to tell.
    NothingDelivered(String),
    /// Clients were lost on the way.
    ClientsLost(String),
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
            Self::Option(why) | Self::NothingDelivered(why) | Self::ClientsLost(why) => out.write_str(why),
            Self::NotReady(fault) => write!(out, "a client could not get ready: {fault}"),
            Self::Process(pid, error) => {
                write!(out, "/proc does not tell about process {pid}: {error}; is --broker-pid right?")
            }
            Self::Broker(path, why) => write!(out, "{} did not start: {why}", path.display()),
            Self::Interrupted(signal) => write!(out, "stopped by {signal}; no result"),
        }
    }
}
