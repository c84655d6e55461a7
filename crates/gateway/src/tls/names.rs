//! The names of the server, by its own certificate.
//!
//! A policy may have a condition on `iot:DomainName`, so the name must not be whatever a peer likes to send. AWS refuses
//! names that are none of its endpoints; here such a peer comes in, but without a domain name.

use std::sync::Arc;

use identity::AlternativeName;

/// Host names, `*.` in front of one standing for one label.
#[derive(Debug)]
pub(crate) struct Names(Box<[Box<str>]>);

impl Names {
    /// Those of a certificate in DER form; none if it cannot be read.
    pub(crate) fn of(certificate: &[u8]) -> Self {
        let names = pki::facts(certificate).map(|facts| facts.subject.alternative_names).unwrap_or_default();
        let names = names.into_iter().filter(|(kind, _)| *kind == AlternativeName::DnsName);
        Self(names.map(|(_, name)| name.to_ascii_lowercase().into()).collect())
    }

    /// The name that a peer asked for, in lower case, if the server has it.
    pub(crate) fn known(&self, asked: &str) -> Option<Arc<str>> {
        let asked = asked.to_ascii_lowercase();
        self.0.iter().any(|name| is_covered(&asked, name)).then(|| asked.into())
    }
}

fn is_covered(asked: &str, name: &str) -> bool {
    let parent = || asked.split_once('.').map(|(_, parent)| parent);
    asked == name || name.strip_prefix("*.").is_some_and(|rest| parent() == Some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_make_up_a_name() {
        let names = Names(["gate.example".into(), "*.iot.example".into()].into());
        assert_eq!(names.known("Gate.Example").as_deref(), Some("gate.example"));
        assert_eq!(names.known("a.iot.example").as_deref(), Some("a.iot.example"));
        for made_up in ["", "example", "iot.example", "a.b.iot.example", "vip.example", "*"] {
            assert_eq!(names.known(made_up), None, "{made_up}");
        }
        assert_eq!(Names::of(b"no certificate").known("gate.example"), None);
    }
}
