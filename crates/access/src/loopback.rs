//! Names of this machine, as they stand in a Host header and in an origin. Whatever resolves to loopback beside them may be
//! somebody else's name, as after DNS rebinding.

use std::net::IpAddr;

use http::Uri;
use http::uri::Authority;

/// Whether a host, with or without a port, is localhost or a loopback address.
pub fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host().to_ascii_lowercase();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    let name = host.strip_suffix('.').unwrap_or(&host);
    !authority.as_str().contains('@')
        && match address.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
}

/// Whether the origin of a page (`scheme://host:port`) is on this machine.
pub fn is_loopback_origin(origin: &str) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    origin.scheme().is_some() && origin.authority().is_some_and(|authority| is_loopback(authority.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_of_this_machine_or_of_another() {
        for own in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080", "HTTP://LOCALHOST"] {
            assert!(is_loopback_origin(own), "{own}");
        }
        for foreign in ["https://evil.example", "http://localhost.evil.example", "null", "", "localhost:1"]
            .into_iter()
            .chain(["file://", "http://user@localhost", "http://192.0.2.1", "localhost"])
        {
            assert!(!is_loopback_origin(foreign), "{foreign}");
        }
    }
}
