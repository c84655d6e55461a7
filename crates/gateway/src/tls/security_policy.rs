//! AWS's predefined TLS policies, by name.
//!
//! Source: developer guide, *Security policies*. What rustls has of their TLS 1.2 suites is the same for all of them:
//! ECDHE with AES-GCM.

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// Which versions of TLS an endpoint takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum SecurityPolicy {
    /// `IoTSecurityPolicy_TLS13_1_3_2022_10`.
    Tls13Only,
    /// `IoTSecurityPolicy_TLS13_1_2_2022_10`, the default.
    #[default]
    Tls12And13,
    /// `IoTSecurityPolicy_TLS12_1_2_2022_10`, and the older ones of some Regions, whose TLS 1.0 and 1.1 ended.
    Tls12Only,
}

impl SecurityPolicy {
    /// By AWS's name; an endpoint without one, or with one that is not known, has the default.
    pub(crate) fn from_aws(name: Option<&str>) -> Self {
        match name {
            Some("IoTSecurityPolicy_TLS13_1_3_2022_10") => Self::Tls13Only,
            Some(
                "IoTSecurityPolicy_TLS12_1_2_2022_10"
                | "IoTSecurityPolicy_TLS12_1_0_2016_01"
                | "IoTSecurityPolicy_TLS12_1_0_2015_01",
            ) => Self::Tls12Only,
            _ => Self::Tls12And13,
        }
    }

    pub(crate) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static NEW: [&SupportedProtocolVersion; 1] = [&TLS13];
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static OLD: [&SupportedProtocolVersion; 1] = [&TLS12];
        match self {
            Self::Tls13Only => &NEW,
            Self::Tls12And13 => &BOTH,
            Self::Tls12Only => &OLD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_awss_names() {
        let named = |name: &str| SecurityPolicy::from_aws(Some(&format!("IoTSecurityPolicy_{name}")));
        assert_eq!(named("TLS13_1_3_2022_10"), SecurityPolicy::Tls13Only);
        assert_eq!(named("TLS13_1_2_2022_10"), SecurityPolicy::Tls12And13);
        for old in ["TLS12_1_2_2022_10", "TLS12_1_0_2016_01", "TLS12_1_0_2015_01"] {
            assert_eq!(named(old), SecurityPolicy::Tls12Only, "{old}");
        }
        assert_eq!(SecurityPolicy::from_aws(None), SecurityPolicy::default());
    }
}
