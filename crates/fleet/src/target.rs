//! The broker under load: where it is and how to speak to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mqtt::Version;
use tokio::net::{TcpSocket, TcpStream};

use crate::cli::{ClientIds, Protocol, TargetArgs, Transport};
use crate::credentials::Credentials;
use crate::fault::{BenchError, Fault};
use crate::websocket::Upgrade;

/// Clients that connect from one loopback address: it has some 28 000 ports, and some are taken.
const CLIENTS_PER_SOURCE: usize = 20_000;

/// Where to connect to, how, and under which names.
pub struct Target {
    /// Where.
    pub address: SocketAddr,
    /// Which MQTT.
    pub version: Version,
    /// What carries it.
    pub transport: Transport,
    /// For TLS; `None` = no encryption.
    pub credentials: Option<Credentials>,
    /// For WebSocket.
    pub upgrade: Option<Upgrade>,
    /// User name and password in CONNECT.
    pub user: Option<(String, Option<String>)>,
    /// First level of all topics.
    pub prefix: String,
    /// Client ids are those of the credentials.
    device_ids: bool,
}

impl Target {
    /// Looks the host up and reads the files that the options name.
    ///
    /// # Errors
    /// No such host, an unusable file, no such broker process.
    pub async fn resolve(args: &TargetArgs) -> Result<Self, BenchError> {
        if let Some(pid) = args.broker_pid {
            crate::process::Usage::of(pid).map_err(|error| BenchError::Process(pid, error))?;
        }
        let port = args.port.unwrap_or(args.transport.port());
        let unknown = |why: String| BenchError::Option(format!("{}: {why}", args.host));
        let addresses = tokio::net::lookup_host((args.host.as_str(), port))
            .await
            .map_err(|error| unknown(error.to_string()))?;
        // `localhost` has two addresses, and brokers that listen on one of them only take the older.
        let address =
            addresses.min_by_key(SocketAddr::is_ipv6).ok_or_else(|| unknown("has no address".into()))?;
        let encrypted = matches!(args.transport, Transport::Tls | Transport::Wss);
        let framed = matches!(args.transport, Transport::Ws | Transport::Wss);
        let upgrade = || Upgrade::new(&args.host, port, &args.path, args.sigv4.as_deref());
        let target = Self {
            address,
            version: args.protocol.into(),
            transport: args.transport,
            credentials: encrypted.then(|| Credentials::load(args)).transpose()?,
            upgrade: framed.then(upgrade).transpose()?,
            user: args.user.clone().map(|user| (user, args.password.clone())),
            prefix: args.prefix.clone(),
            device_ids: args.client_ids == ClientIds::Device,
        };
        if target.device_ids && target.devices() == 0 {
            return Err(BenchError::Option(
                "--client-ids device needs --transport tls and a folder of NAME.cert.pem as --cert".into(),
            ));
        }
        Ok(target)
    }

    fn devices(&self) -> u64 {
        self.credentials.as_ref().map_or(0, Credentials::devices)
    }

    /// Whether there are names for so many clients.
    ///
    /// # Errors
    /// There are fewer devices: two clients with one client id would throw each other out.
    pub fn enough_for(&self, clients: u64) -> Result<(), BenchError> {
        let devices = self.devices();
        if !self.device_ids || devices >= clients {
            return Ok(());
        }
        Err(BenchError::Option(format!(
            "this load has {clients} clients, and --cert holds {devices} devices: make more (`thingcore bench devices`)"
        )))
    }

    /// The client id of a client: who it is in the run, or the device whose certificate it has.
    pub fn client_id(&self, run: u64, role: &str, number: u32, client: usize) -> String {
        let device = self.credentials.as_ref().filter(|_| self.device_ids);
        match device.and_then(|credentials| credentials.name(client)) {
            Some(name) => name.to_owned(),
            None => format!("bench-{run:016x}-{role}{number}"),
        }
    }

    /// In words, for titles.
    pub const fn carried(&self) -> &'static str {
        match self.transport {
            Transport::Tcp => "plain TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "plain WebSocket",
            Transport::Wss => "WebSocket over TLS",
        }
    }

    /// Connects TCP for the client with this number.
    ///
    /// # Errors
    /// [`Fault::Dial`].
    pub async fn dial(&self, client: usize) -> Result<TcpStream, Fault> {
        let stream = match loopback_source(client) {
            Some(source) if is_loopback_v4(self.address) => {
                let socket = TcpSocket::new_v4().map_err(Fault::Dial)?;
                socket.bind(source).map_err(Fault::Dial)?;
                socket.connect(self.address).await
            }
            _ => TcpStream::connect(self.address).await,
        }
        .map_err(Fault::Dial)?;
        stream.set_nodelay(true).map_err(Fault::Dial)?;
        Ok(stream)
    }
}

fn is_loopback_v4(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V4(address) if address.ip().is_loopback())
}

/// Where a client connects from, when the usual address has no more ports. Otherwise the kernel chooses, which is far
/// cheaper: it may take ports again that wait for their end.
fn loopback_source(client: usize) -> Option<SocketAddr> {
    let last = u8::try_from(client / CLIENTS_PER_SOURCE + 1).ok().filter(|last| *last > 1)?;
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0))
}

impl Transport {
    /// The port that this usually has.
    const fn port(self) -> u16 {
        match self {
            Self::Tcp => 1883,
            Self::Tls => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl From<Protocol> for Version {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::V3 => Self::V311,
            Protocol::V5 => Self::V5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_beyond_the_ports_of_one_address_take_the_next() {
        assert_eq!(loopback_source(19_999), None);
        assert_eq!(loopback_source(20_000).unwrap().to_string(), "127.0.0.2:0");
        assert_eq!(loopback_source(99_999).unwrap().to_string(), "127.0.0.5:0");
        assert!(is_loopback_v4("127.0.0.9:1".parse().unwrap()));
        assert!(
            !is_loopback_v4("[::1]:1".parse().unwrap()) && !is_loopback_v4("10.0.0.1:1".parse().unwrap())
        );
    }
}
