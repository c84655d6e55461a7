//! What a server name means: asked for every TLS handshake with a name that is not the default endpoint's.
//!
//! Source: developer guide, *Domain configurations*.

use std::fmt;

use identity::Timestamp;
use pki::PkiFault;
use registry::domain_configurations::{
    ApplicationProtocol, AuthenticationType, DOMAIN_CONFIGURATIONS, DOMAIN_NAMES, DomainAuthorizer,
    DomainConfigurationRecord, SecurityPolicy, domain_configuration_key, domain_name_key,
};
use registry::server_certificates::{SERVER_CERTIFICATES, ServerMaterial, server_certificate_key};
use services::entropy;
use store::{Revision, StoreError};

use crate::Access;

/// A domain that clients can connect to, as the listeners need it.
#[derive(Clone, Debug)]
pub struct Domain {
    /// The configuration's name.
    pub name: String,
    /// In lower case.
    pub domain_name: String,
    /// Clients are let in. If not, they get an authentication error.
    pub enabled: bool,
    /// How clients prove who they are.
    pub authentication_type: AuthenticationType,
    /// What they speak.
    pub application_protocol: ApplicationProtocol,
    /// The TLS versions and suites.
    pub security_policy: SecurityPolicy,
    /// Who decides beside the policies.
    pub authorizer: DomainAuthorizer,
    /// The ARN of the function that is asked about each client certificate.
    pub client_certificate_callback: Option<String>,
    /// What the server shows. None for a domain of the service's own, for which the listener has a certificate made.
    pub server_certificate: Option<DomainCertificate>,
    /// Grows whenever anything of this changes.
    pub revision: Revision,
}

/// A certificate with chain and key; `Debug` hides the key.
#[derive(Clone, PartialEq, Eq)]
pub struct DomainCertificate {
    /// The server's certificate and who signed it, as PEM.
    pub chain_pem: String,
    /// The key, as PEM: PKCS #8, PKCS #1 or SEC 1.
    pub private_key_pem: String,
}

impl fmt::Debug for DomainCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainCertificate").field("chain_pem", &self.chain_pem).finish_non_exhaustive()
    }
}

impl DomainCertificate {
    fn of(material: &ServerMaterial) -> Self {
        Self { chain_pem: material.chain_pem(), private_key_pem: material.private_key.0.clone() }
    }
}

impl Access {
    /// The domain with this name, whatever its case; `None` if no configuration has it. At most three reads.
    ///
    /// # Errors
    /// The store's.
    pub async fn domain(&self, server_name: &str) -> Result<Option<Domain>, StoreError> {
        let Some(row) = DOMAIN_NAMES.get(self.records.store(), &domain_name_key(server_name)).await? else {
            return Ok(None);
        };
        let key = domain_configuration_key(&row.value.configuration);
        let Some(stored) = DOMAIN_CONFIGURATIONS.get(self.records.store(), &key).await? else {
            return Ok(None);
        };
        let mut revision = stored.revision;
        let mut server_certificate = None;
        let id =
            stored.value.server_certificate_arn.as_deref().and_then(|arn| self.server_certificate_id(arn));
        if let Some(id) = id
            && let Some(found) =
                SERVER_CERTIFICATES.get(self.records.store(), &server_certificate_key(id)).await?
        {
            revision = revision.max(found.revision);
            server_certificate = Some(DomainCertificate::of(found.value.shown()));
        }
        Ok(Some(domain(stored.value, server_certificate, revision)))
    }
}

impl Access {
    /// The TLS policy of the default endpoint, and of domains that name none.
    pub fn usual_security_policy(&self) -> SecurityPolicy {
        SecurityPolicy::usual(self.site.partition())
    }

    /// A server certificate for a domain of the service's own, by the private CA: chain and key, PEM.
    ///
    /// # Errors
    /// The name cannot stand in a certificate.
    pub fn issue_domain_certificate(
        &self,
        name: &str,
        wall: Timestamp,
    ) -> Result<(String, String), PkiFault> {
        let issued = self.authority.issue_server(&[name], entropy::serial(&*self.entropy), wall)?;
        let chain = issued.certificate.pem() + &self.authority.certificate_pem();
        Ok((chain, issued.private_key.into_pem()))
    }
}

fn domain(
    record: DomainConfigurationRecord,
    server_certificate: Option<DomainCertificate>,
    revision: Revision,
) -> Domain {
    Domain {
        name: record.name,
        domain_name: record.domain_name,
        enabled: record.enabled,
        authentication_type: record.authentication_type,
        application_protocol: record.application_protocol,
        security_policy: record.security_policy,
        authorizer: record.authorizer,
        client_certificate_callback: record.client_certificate_callback,
        server_certificate,
        revision,
    }
}
