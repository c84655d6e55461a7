//! Whom the process runs as. A server needs no right that its user has not, but for binding ports below 1024.

use crate::config::{Port, Settings};

/// What is said to an operator whose server could do everything on a machine that others reach. None if it runs as
/// somebody else, if only this machine reaches its device ports, or where the system has no `/proc`.
pub fn warning(settings: &Settings) -> Option<String> {
    let ports = &settings.ports;
    let is_open = [&ports.mqtt, &ports.tls, &ports.https].into_iter().any(is_open);
    advice(effective_user(), is_open)
}

/// The warning for this user and these ports.
fn advice(user: Option<u32>, is_open: bool) -> Option<String> {
    const ROOT: u32 = 0;
    (user == Some(ROOT) && is_open).then(|| {
        "the server runs as root and other machines reach its device ports: a fault in it would be a fault of the whole \
         machine. Run it as a user of its own, who owns the data folder; port 443 needs CAP_NET_BIND_SERVICE and nothing \
         else (contrib/thingcore.service does both), or bind the ports to loopback with --bind 127.0.0.1"
            .to_owned()
    })
}

/// Whether other machines may reach the port.
fn is_open(port: &Port) -> bool {
    port.addresses.iter().any(|address| !address.is_loopback())
}

/// The user that the kernel checks: `/proc/self` belongs to it.
#[cfg(unix)]
fn effective_user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}

#[cfg(not(unix))]
fn effective_user() -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(address: &str) -> Port {
        Port { addresses: vec![address.parse().unwrap()], numbers: vec![0], option: "--mqtt-port" }
    }

    #[test]
    fn root_on_open_ports_is_told_what_to_do() {
        let text = advice(Some(0), true).unwrap();
        assert!(text.contains("CAP_NET_BIND_SERVICE") && text.contains("--bind"), "{text}");
    }

    #[test]
    fn nobody_else_is_warned() {
        assert_eq!(advice(Some(0), false), None);
        assert_eq!(advice(Some(1000), true), None);
        assert_eq!(advice(None, true), None);
    }

    #[test]
    fn loopback_is_not_open() {
        assert!(!is_open(&port("127.0.0.1")) && !is_open(&port("::1")));
        assert!(is_open(&port("0.0.0.0")) && is_open(&port("::")) && is_open(&port("192.0.2.7")));
    }
}
