//! Binding the listeners, and saying what to do when one cannot be had.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::config::{Port, Ports};

/// Connections that may wait to be accepted, if the system permits as many (Linux: `net.core.somaxconn`). Beyond that a client's
/// system tries again after a second.
const BACKLOG: u32 = 4_096;

/// All listeners, bound and not yet accepting.
pub struct Bound {
    /// MQTT over TLS.
    pub mqtt: TcpListener,
    /// The 443 port.
    pub tls: TcpListener,
    /// HTTPS with a client certificate.
    pub https: TcpListener,
    /// AWS IoT API.
    pub api: TcpListener,
    /// Metrics and health.
    pub admin: TcpListener,
    /// Plaintext MQTT.
    pub plain: Option<TcpListener>,
}

/// A listener cannot be had.
#[derive(Debug)]
pub struct Unbound {
    address: SocketAddr,
    option: &'static str,
    error: io::Error,
}

impl fmt::Display for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, option, error } = self;
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "port {} is in use by another program: stop that, or choose another port with {option}",
                address.port()
            ),
            io::ErrorKind::PermissionDenied => {
                write!(f, "port {} is not permitted: choose one above 1023 with {option}", address.port())
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "{} is no address of this machine: see --bind", address.ip())
            }
            _ => write!(f, "cannot listen on {address} ({option}): {error}"),
        }
    }
}

impl std::error::Error for Unbound {}

impl Bound {
    /// Binds everything or nothing.
    pub fn bind(ports: &Ports) -> Result<Self, Unbound> {
        let plain = match &ports.plain {
            Some(port) => Some(bind(port)?),
            None => None,
        };
        Ok(Self {
            mqtt: bind(&ports.mqtt)?,
            tls: bind(&ports.tls)?,
            https: bind(&ports.https)?,
            api: bind(&ports.api)?,
            admin: bind(&ports.admin)?,
            plain,
        })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart does not wait for connections that have just ended. On Windows it would let others take the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The first of the port's candidates that can be bound; otherwise what was wrong with the last.
fn bind(port: &Port) -> Result<TcpListener, Unbound> {
    let mut last = None;
    for number in &port.numbers {
        for address in &port.addresses {
            let address = SocketAddr::new(*address, *number);
            match listen(address) {
                Ok(listener) => return Ok(listener),
                Err(error) if is_without_ipv6(&error, address.ip()) => {}
                Err(error) => {
                    last = Some(Unbound { address, option: port.option, error });
                    break;
                }
            }
        }
    }
    let nothing = || Unbound {
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        option: port.option,
        error: io::ErrorKind::AddrNotAvailable.into(),
    };
    Err(last.unwrap_or_else(nothing))
}

/// A machine without IPv6 refuses `[::]`; its IPv4 address is the next candidate.
fn is_without_ipv6(error: &io::Error, address: IpAddr) -> bool {
    let in_use_or_forbidden =
        matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied);
    address.is_ipv6() && address.is_unspecified() && !in_use_or_forbidden
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(numbers: Vec<u16>) -> Port {
        Port { addresses: vec![[127, 0, 0, 1].into()], numbers, option: "--mqtt-port" }
    }

    #[tokio::test]
    async fn a_busy_port_names_its_option() {
        let taken = bind(&port(vec![0])).unwrap();
        let number = taken.local_addr().unwrap().port();
        let error = bind(&port(vec![number])).unwrap_err().to_string();
        assert!(error.contains("in use") && error.contains("--mqtt-port"), "{error}");
    }

    #[tokio::test]
    async fn the_second_choice_is_taken_when_the_first_is_busy() {
        let taken = bind(&port(vec![0])).unwrap();
        let number = taken.local_addr().unwrap().port();
        let second = bind(&port(vec![number, 0])).unwrap();
        assert_ne!(second.local_addr().unwrap().port(), number);
    }
}
