//! Keeps browsers out of a server whose access key everybody knows: a page of anybody can sign requests with it, and
//! reach loopback through the browser of the person who develops here.

use access::is_loopback;
use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;

use crate::answer::Fault;

/// Refuses (403) a request that names another host than loopback, as after DNS rebinding, or that a page of another
/// origin sent.
pub fn check(parts: &Parts) -> Result<(), Fault> {
    let host = one(&parts.headers, HOST.as_str()).unwrap_or_default();
    let target = parts.uri.authority().map_or(host, Authority::as_str);
    if !is_loopback(host) || !is_loopback(target) {
        return Err(refused(format!(
            "the Host header is {host:?}, which is not localhost or a loopback address. Call http://127.0.0.1:PORT"
        )));
    }
    let own = format!("http://{host}");
    match (parts.headers.contains_key(ORIGIN), one(&parts.headers, ORIGIN.as_str())) {
        (false, _) => {}
        (true, Some(origin)) if origin.eq_ignore_ascii_case(&own) => {}
        (true, origin) => {
            return Err(refused(format!(
                "it was sent by a page of {:?}",
                origin.unwrap_or("several origins")
            )));
        }
    }
    let site = "sec-fetch-site";
    let is_foreign = |value: &http::HeaderValue| !matches!(value.as_bytes(), b"same-origin" | b"none");
    if parts.headers.get_all(site).iter().any(is_foreign) {
        return Err(refused("Sec-Fetch-Site says that a page of another site sent it".to_owned()));
    }
    Ok(())
}

fn refused(why: String) -> Fault {
    let text = format!(
        "Refused: {why}. This server runs with --dev, whose access key is public, so it serves programs on this \
         machine only; without --dev any host and origin may call, with the server's own key."
    );
    Fault::new(403, "ForbiddenException", text)
}

/// The header's value, if it is there once and is text.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(headers: &[(&'static str, &str)]) -> Result<(), String> {
        let mut request = http::Request::get("/things");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0).map_err(|fault| {
            assert_eq!((fault.status, &*fault.error_type), (403, "ForbiddenException"));
            fault.message.into()
        })
    }

    #[test]
    fn only_loopback_is_a_host() {
        for host in [
            "localhost",
            "LOCALHOST:7080",
            "localhost.",
            "iot.localhost:1",
            "127.0.0.1:7080",
            "127.1.2.3",
            "[::1]:7080",
        ] {
            assert_eq!(checked(&[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.0.2.1:7080",
            "[2001:db8::1]",
        ]
        .into_iter()
        .chain(["evil@localhost", "notlocalhost", "0.0.0.0:7080"])
        {
            assert!(checked(&[("host", host)]).unwrap_err().contains("Host header"), "{host}");
        }
        assert!(checked(&[]).is_err());
        assert!(checked(&[("host", "localhost"), ("host", "evil.example")]).is_err());
    }

    #[test]
    fn pages_of_others_are_refused() {
        let host = ("host", "localhost:7080");
        assert_eq!(checked(&[host, ("origin", "http://localhost:7080")]), Ok(()));
        for origin in ["https://evil.example", "null", "http://localhost:3000", ""] {
            assert!(checked(&[host, ("origin", origin)]).unwrap_err().contains("a page of"), "{origin}");
        }
        for site in ["same-origin", "none"] {
            assert_eq!(checked(&[host, ("sec-fetch-site", site)]), Ok(()), "{site}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(
                checked(&[host, ("sec-fetch-site", site)]).unwrap_err().contains("Sec-Fetch-Site"),
                "{site}"
            );
        }
    }
}
