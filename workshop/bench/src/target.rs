//! The broker under load: where it is and how to speak to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mqtt::Version;
use tokio::net::{TcpSocket, TcpStream};

use crate::cli::{Protocol, TargetArgs};
use crate::fault::{BenchError, Fault};
use crate::tls::ClientTls;

/// Loopback addresses to connect from: each has some 28 000 ports of its own.
const LOOPBACK_SOURCES: u8 = 8;

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
        let stream = match self.address {
            SocketAddr::V4(to) if to.ip().is_loopback() => {
                let socket = TcpSocket::new_v4().map_err(Fault::Dial)?;
                socket.bind(loopback_source(client)).map_err(Fault::Dial)?;
                socket.connect(self.address).await
            }
            address => TcpStream::connect(address).await,
        }
        .map_err(Fault::Dial)?;
        stream.set_nodelay(true).map_err(Fault::Dial)?;
        Ok(stream)
    }
}

fn loopback_source(client: usize) -> SocketAddr {
    let last = (client % usize::from(LOOPBACK_SOURCES)) as u8 + 1;
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0)
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
    fn clients_spread_over_loopback_addresses() {
        assert_eq!(loopback_source(0).to_string(), "127.0.0.1:0");
        assert_eq!(loopback_source(7).to_string(), "127.0.0.8:0");
        assert_eq!(loopback_source(8), loopback_source(0));
    }
}
