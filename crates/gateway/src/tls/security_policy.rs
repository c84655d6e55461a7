//! What rustls has of AWS's predefined TLS policies: their versions, and the suites that the policy of GovCloud leaves
//! out. The TLS 1.2 suites are ECDHE with AES-GCM and ChaCha20 for all of them.
//!
//! Source: developer guide, *Security policies*.

use registry::domain_configurations::SecurityPolicy;
use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedProtocolVersion};

/// The versions of TLS that a policy names. TLS 1.0 and 1.1 of the older ones have ended.
pub(crate) fn versions(policy: SecurityPolicy) -> &'static [&'static SupportedProtocolVersion] {
    static NEW: [&SupportedProtocolVersion; 1] = [&TLS13];
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    static OLD: [&SupportedProtocolVersion; 1] = [&TLS12];
    match policy {
        SecurityPolicy::Tls13Only => &NEW,
        SecurityPolicy::Tls13And12 | SecurityPolicy::Tls13And12Gov => &BOTH,
        SecurityPolicy::Tls12Only | SecurityPolicy::Tls12Of2016 | SecurityPolicy::Tls12Of2015 => &OLD,
    }
}

/// The provider with the suites of a policy.
pub(crate) fn suites(policy: SecurityPolicy, provider: &CryptoProvider) -> CryptoProvider {
    let mut provider = provider.clone();
    if policy == SecurityPolicy::Tls13And12Gov {
        provider.cipher_suites.retain(|suite| suite.suite() != CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    }
    provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_its_versions() {
        for policy in SecurityPolicy::ALL {
            let has = |version| versions(*policy).iter().any(|known| known.version == version);
            let old = policy.as_str().contains("TLS12_");
            assert_eq!(has(rustls::ProtocolVersion::TLSv1_3), !old, "{}", policy.as_str());
            let new = policy.as_str().contains("TLS13_1_3");
            assert_eq!(has(rustls::ProtocolVersion::TLSv1_2), !new, "{}", policy.as_str());
        }
    }

    #[test]
    fn the_policy_of_govcloud_has_no_chacha() {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let chacha = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
        let has = |policy| suites(policy, &provider).cipher_suites.iter().any(|s| s.suite() == chacha);
        assert!(has(SecurityPolicy::Tls13And12) && !has(SecurityPolicy::Tls13And12Gov));
    }
}
