//! The broker under load: where it is and how to speak to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mqtt::Version;
use tokio::net::{TcpSocket, TcpStream};

use crate::cli::{Protocol, TargetArgs};
use crate::fault::{BenchError, Fault};
use crate::tls::ClientTls;

/// Clients that connect from one loopback address: it has some 28 000 ports, and some are taken.
const CLIENTS_PER_SOURCE: usize = 20_000;

/// Where to connect to, and how.
#[derive(Debug)]
pub struct Target {
    /// Where.
    pub address: SocketAddr,
    /// Which MQTT.
    pub version: Version,
    /// Credentials; `None` = plain TCP.
    pub tls: Option<ClientTls>,
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
        let unknown = |why: String| BenchError::Option(format!("{}: {why}", args.host));
        let addresses = tokio::net::lookup_host((args.host.as_str(), args.port))
            .await
            .map_err(|error| unknown(error.to_string()))?;
        // `localhost` has two addresses, and brokers that listen on one of them only take the older.
        let address =
            addresses.min_by_key(SocketAddr::is_ipv6).ok_or_else(|| unknown("has no address".into()))?;
        let tls = if args.tls { Some(ClientTls::load(args)?) } else { None };
        Ok(Self { address, version: args.protocol.into(), tls })
    }

    /// A plain broker on this machine.
    pub fn local(port: u16, protocol: Protocol) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { address, version: protocol.into(), tls: None }
    }

    /// Connects TCP for the client with this number.
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
