//! Domain configurations: endpoints with names, authentication and TLS settings of their own.
//!
//! Sources: developer guide, *Domain configurations*, *Configurable endpoints*, *Configuring TLS settings*; API reference,
//! *CreateDomainConfiguration*.

use std::time::Duration;

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::words::words;
use crate::{Fault, limits};

/// Key: name.
pub const DOMAIN_CONFIGURATIONS: Keyspace<DomainConfigurationRecord> = Keyspace::new("domain-configurations");
/// Key: domain name in lower case. "Which configuration does this server name belong to?"
pub const DOMAIN_NAMES: Keyspace<DomainNameRow> = Keyspace::new("domain-names");

/// How long a configuration with a domain of AWS must have been DISABLED before it can be deleted.
pub const MANAGED_DISABLED_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The configurations of the default endpoints. They are always there, and never change.
pub const DEFAULTS: [(&str, ServiceType); 3] = [
    ("iot:CredentialProvider", ServiceType::CredentialProvider),
    ("iot:Data-ATS", ServiceType::Data),
    ("iot:Jobs", ServiceType::Jobs),
];

/// The key of a configuration.
pub fn domain_configuration_key(name: &str) -> Key {
    Key::of(&[name])
}

/// The key in [`DOMAIN_NAMES`].
pub fn domain_name_key(domain_name: &str) -> Key {
    Key::of(&[&domain_name.to_ascii_lowercase()])
}

/// Whose a domain name is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainNameRow {
    /// The configuration's name.
    pub configuration: String,
}

/// A domain configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainConfigurationRecord {
    /// Its name.
    pub name: String,
    /// The last part of its ARN.
    pub id: String,
    /// In lower case.
    pub domain_name: String,
    /// The domain is one that the service gave.
    pub managed: bool,
    /// Whether clients are let in.
    pub enabled: bool,
    /// When `enabled` changed last.
    pub status_changed: Timestamp,
    /// Who decides beside the policies.
    #[serde(default)]
    pub authorizer: DomainAuthorizer,
    /// The TLS versions and suites.
    pub security_policy: SecurityPolicy,
    /// How clients prove who they are.
    pub authentication_type: AuthenticationType,
    /// What they speak.
    pub application_protocol: ApplicationProtocol,
    /// The ARN of the certificate that the server shows; none for a managed domain.
    #[serde(default)]
    pub server_certificate_arn: Option<String>,
    /// The ARN of the certificate that proves who owns the domain.
    #[serde(default)]
    pub validation_certificate_arn: Option<String>,
    /// OCSP stapling, which nobody can switch on yet.
    #[serde(default)]
    pub server_certificate_config: Option<ServerCertificateConfigRecord>,
    /// The function that is asked about each client certificate.
    #[serde(default)]
    pub client_certificate_callback: Option<String>,
}

/// Which authorizer a domain has. Empty: none is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainAuthorizer {
    /// Asked when the client names none.
    #[serde(default)]
    pub default: Option<String>,
    /// Whether the client may name another.
    #[serde(default)]
    pub allow_override: Option<bool>,
}

/// How a certificate's status is proved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCertificateConfigRecord {
    /// It is. Not true: stapling is not built.
    #[serde(default)]
    pub enable_ocsp_check: Option<bool>,
    /// By this function.
    #[serde(default)]
    pub ocsp_lambda_arn: Option<String>,
    /// Whose answers this certificate signs.
    #[serde(default)]
    pub ocsp_authorized_responder_arn: Option<String>,
}

words! {
    /// What an endpoint is for.
    ServiceType {
        /// Devices' messages.
        Data = "DATA";
        /// Credentials of roles.
        CredentialProvider = "CREDENTIAL_PROVIDER";
        /// Jobs over HTTP.
        Jobs = "JOBS";
    }
}

words! {
    /// How clients prove who they are.
    AuthenticationType {
        /// A registered certificate, then an authorizer.
        CustomAuthX509 = "CUSTOM_AUTH_X509";
        /// An authorizer.
        CustomAuth = "CUSTOM_AUTH";
        /// A registered certificate.
        AwsX509 = "AWS_X509";
        /// A signature.
        AwsSigv4 = "AWS_SIGV4";
        /// By port and ALPN, as on the default endpoint.
        Default = "DEFAULT";
    }
}

words! {
    /// What clients speak.
    ApplicationProtocol {
        /// MQTT over TLS.
        SecureMqtt = "SECURE_MQTT";
        /// MQTT over WebSocket.
        MqttWss = "MQTT_WSS";
        /// HTTP over TLS.
        Https = "HTTPS";
        /// By port and ALPN, as on the default endpoint.
        Default = "DEFAULT";
    }
}

words! {
    /// The predefined TLS settings.
    SecurityPolicy {
        /// TLS 1.3 only.
        Tls13Only = "IoTSecurityPolicy_TLS13_1_3_2022_10";
        /// TLS 1.2 and 1.3.
        Tls13And12 = "IoTSecurityPolicy_TLS13_1_2_2022_10";
        /// TLS 1.2 and 1.3 of GovCloud: without ChaCha20.
        Tls13And12Gov = "IoTSecurityPolicy_TLS13_1_2_2022_01";
        /// TLS 1.2 only.
        Tls12Only = "IoTSecurityPolicy_TLS12_1_2_2022_10";
        /// TLS 1.2 as some Regions had it in 2016.
        Tls12Of2016 = "IoTSecurityPolicy_TLS12_1_0_2016_01";
        /// TLS 1.2 as the others had it in 2015.
        Tls12Of2015 = "IoTSecurityPolicy_TLS12_1_0_2015_01";
    }
}

impl SecurityPolicy {
    /// The policy of endpoints that ask for none, by partition.
    pub fn usual(partition: &str) -> Self {
        if partition == "aws-us-gov" { Self::Tls13And12Gov } else { Self::Tls13And12 }
    }

    /// The policy that a request names.
    ///
    /// # Errors
    /// [`Fault::Invalid`].
    pub fn asked(text: &str) -> Result<Self, Fault> {
        Self::parse(text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|policy| policy.as_str()).collect();
            Fault::invalid(format!("The security policy {text} is not one of {}", known.join(", ")))
        })
    }
}

/// Checks the name of a new configuration; its characters have been checked.
///
/// # Errors
/// [`Fault::Invalid`].
pub fn check_name(name: &str) -> Result<(), Fault> {
    if name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("iot:")) {
        return Err(Fault::invalid(format!(
            "The name {name} must not begin with IoT:, which names the default endpoints"
        )));
    }
    Ok(())
}

/// A domain name as it is kept: a host name of at least two labels, in lower case.
///
/// # Errors
/// [`Fault::Invalid`].
pub fn check_domain_name(text: &str) -> Result<String, Fault> {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address =
        text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if text.len() <= 253 && text.contains('.') && text.split('.').all(label) && !is_address {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Fault::invalid(format!(
        "The domain name {text} is not a fully qualified host name of at most 253 characters"
    )))
}

/// Which authentication goes with which protocol.
///
/// # Errors
/// [`Fault::Invalid`] for a pair that no endpoint can have.
pub fn check_pair(authentication: AuthenticationType, protocol: ApplicationProtocol) -> Result<(), Fault> {
    use ApplicationProtocol as P;
    let possible: &[P] = match authentication {
        AuthenticationType::Default => &[P::Default],
        AuthenticationType::AwsX509 | AuthenticationType::CustomAuthX509 => &[P::SecureMqtt, P::Https],
        AuthenticationType::AwsSigv4 => &[P::MqttWss, P::Https],
        AuthenticationType::CustomAuth => &[P::SecureMqtt, P::MqttWss, P::Https],
    };
    if possible.contains(&protocol) {
        return Ok(());
    }
    let names: Vec<&str> = possible.iter().map(|protocol| protocol.as_str()).collect();
    Err(Fault::invalid(format!(
        "The authentication type {} does not go with the application protocol {}; it goes with {}",
        authentication.as_str(),
        protocol.as_str(),
        names.join(", ")
    )))
}

/// Checks who decides on a domain.
///
/// # Errors
/// [`Fault::Invalid`]: a default needs a word about overriding it.
pub fn check_authorizer(authorizer: &DomainAuthorizer) -> Result<(), Fault> {
    match (&authorizer.default, authorizer.allow_override) {
        (Some(name), None) => Err(Fault::invalid(format!(
            "allowAuthorizerOverride is needed beside the default authorizer {name}"
        ))),
        _ => Ok(()),
    }
}

/// Checks the ARN of a Lambda function by its form; whether there is such a function shows when it is called.
///
/// # Errors
/// [`Fault::Invalid`].
pub fn check_lambda_arn(member: &str, arn: &str) -> Result<(), Fault> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_lambda =
        matches!(parts.as_slice(), ["arn", _, "lambda", _, _, resource] if resource.starts_with("function:"));
    if is_lambda {
        return Ok(());
    }
    Err(Fault::invalid(format!("The {member} {arn} is not the ARN of a Lambda function")))
}

/// Whether one more configuration fits beside `present`.
///
/// # Errors
/// [`Fault::LimitExceeded`].
pub fn check_room(present: usize) -> Result<(), Fault> {
    let limit = limits::DOMAIN_CONFIGURATIONS;
    if present < limit {
        return Ok(());
    }
    Err(Fault::limit(format!(
        "The account has {limit} domain configurations, which is the limit (L-89635276)"
    )))
}

/// Whether a configuration may be deleted.
///
/// # Errors
/// [`Fault::Invalid`] while it is ENABLED, and for seven days after that if its domain is one of AWS's.
pub fn check_delete(record: &DomainConfigurationRecord, now: Timestamp) -> Result<(), Fault> {
    if record.enabled {
        return Err(Fault::invalid(format!(
            "The domain configuration {} is ENABLED and must be disabled before it can be deleted",
            record.name
        )));
    }
    if record.managed && now.since(record.status_changed) < MANAGED_DISABLED_FOR {
        return Err(Fault::invalid(format!(
            "The domain configuration {} has a domain of AWS and must have been DISABLED for 7 days before it can be \
             deleted",
            record.name
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_those_of_the_table() {
        let mut possible = Vec::new();
        for authentication in AuthenticationType::ALL {
            for protocol in ApplicationProtocol::ALL {
                if check_pair(*authentication, *protocol).is_ok() {
                    possible.push((authentication.as_str(), protocol.as_str()));
                }
            }
        }
        let expected = [
            ("CUSTOM_AUTH_X509", "SECURE_MQTT"),
            ("CUSTOM_AUTH_X509", "HTTPS"),
            ("CUSTOM_AUTH", "SECURE_MQTT"),
            ("CUSTOM_AUTH", "MQTT_WSS"),
            ("CUSTOM_AUTH", "HTTPS"),
            ("AWS_X509", "SECURE_MQTT"),
            ("AWS_X509", "HTTPS"),
            ("AWS_SIGV4", "MQTT_WSS"),
            ("AWS_SIGV4", "HTTPS"),
            ("DEFAULT", "DEFAULT"),
        ];
        assert_eq!(possible, expected);
    }

    #[test]
    fn domain_names_are_host_names() {
        assert_eq!(check_domain_name("IoT.Example.com"), Ok("iot.example.com".to_owned()));
        let long = format!("{}.com", vec!["a".repeat(63); 4].join("."));
        for bad in [
            "",
            "com",
            "*.example.com",
            "a..b",
            "-a.com",
            "a-.com",
            "10.0.0.1",
            "a_b.com",
            "ü.com",
            &long,
            "a.com.",
        ] {
            assert!(check_domain_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_policies_and_functions_keep_their_forms() {
        assert!(
            check_name("IoT:Data-ATS").is_err()
                && check_name("iot:x").is_err()
                && check_name("iot.x").is_ok()
        );
        assert_eq!(
            SecurityPolicy::asked("IoTSecurityPolicy_TLS13_1_3_2022_10"),
            Ok(SecurityPolicy::Tls13Only)
        );
        assert!(SecurityPolicy::asked("TLS13_1_3_2022_10").is_err());
        assert_eq!(SecurityPolicy::usual("aws-us-gov"), SecurityPolicy::Tls13And12Gov);
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:check";
        assert!(check_lambda_arn("x", arn).is_ok());
        assert!(check_lambda_arn("x", &arn.replace("lambda", "acm")).is_err());
        let authorizer = DomainAuthorizer { default: Some("a".into()), allow_override: None };
        assert!(check_authorizer(&authorizer).is_err());
        assert!(check_authorizer(&DomainAuthorizer { allow_override: Some(false), ..authorizer }).is_ok());
    }

    #[test]
    fn ten_domain_configurations() {
        assert!(check_room(9).is_ok());
        assert!(matches!(check_room(10), Err(Fault::LimitExceeded(_))));
    }
}
