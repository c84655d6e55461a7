//! Domain configurations: endpoints of the customer's own.
//!
//! Sources: developer guide, *Domain configurations*, *Configurable endpoints*; API reference,
//! *CreateDomainConfiguration* and its siblings. That AWS has a public CA vouch for a customer's domain is not repeated
//! here: whoever may call this API owns the names.

use identity::Timestamp;
use registry::domain_configurations::{
    ApplicationProtocol, AuthenticationType, DEFAULTS, DOMAIN_CONFIGURATIONS, DOMAIN_NAMES, DomainAuthorizer,
    DomainConfigurationRecord, DomainNameRow, SecurityPolicy, ServerCertificateConfigRecord, ServiceType,
    check_authorizer, check_delete, check_domain_name, check_lambda_arn, check_name, check_pair, check_room,
    domain_configuration_key, domain_name_key,
};
use registry::guard::Guarded;
use registry::limits;
use services::commit::until_committed;
use services::shapes::{
    self, AuthorizerConfig, ClientCertificateConfig, CreateDomainConfigurationRequest,
    CreateDomainConfigurationResponse, DeleteDomainConfigurationRequest, DeleteDomainConfigurationResponse,
    DescribeDomainConfigurationRequest, DescribeDomainConfigurationResponse, DomainConfigurationStatus,
    DomainConfigurationSummary, DomainType, ListDomainConfigurationsRequest,
    ListDomainConfigurationsResponse, ServerCertificateConfig, ServerCertificateStatus,
    ServerCertificateSummary, TlsConfig, UpdateDomainConfigurationRequest, UpdateDomainConfigurationResponse,
};
use services::tags::{forget_tags, tags_at_creation};
use services::{ApiError, ErrorCode, page};
use store::{Batch, Condition, Key, Keyspace, Stored};

use crate::Access;

/// Whether there is an authorizer is all that is asked here.
const AUTHORIZERS: Keyspace<serde::de::IgnoredAny> = Keyspace::new("authorizers");

impl Access {
    /// `CreateDomainConfiguration`: with a domain name of the customer's, which needs an imported certificate that covers
    /// it, or with one that the service gives.
    ///
    /// # Errors
    /// InvalidRequest, CertificateValidation for a certificate that is unknown or cannot serve the domain,
    /// ResourceAlreadyExists for the name or the domain name, LimitExceeded beyond 10.
    pub async fn create_domain_configuration(
        &self,
        input: CreateDomainConfigurationRequest,
        now: Timestamp,
    ) -> Result<CreateDomainConfigurationResponse, ApiError> {
        let record = self.draft(&input, now)?;
        until_committed!(self.records, now, |batch| self.plan_create_domain(&record, &input, now, &mut batch))
    }

    async fn plan_create_domain(
        &self,
        record: &DomainConfigurationRecord,
        input: &CreateDomainConfigurationRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<CreateDomainConfigurationResponse, ApiError> {
        let name = record.name.as_str();
        if let Some(there) =
            self.records.get(&DOMAIN_CONFIGURATIONS, &domain_configuration_key(name), now).await?
        {
            let arn = self.domain_configuration_arn(&there.value);
            return Err(ApiError::exists(
                format!("The domain configuration {name} already exists"),
                name,
                arn,
            ));
        }
        self.require_free(&record.domain_name, now).await?;
        let guard = self.records.watch(Guarded::DomainConfigurations, "", now).await?;
        let limit = (limits::DOMAIN_CONFIGURATIONS, now);
        check_room(self.records.scan(&DOMAIN_CONFIGURATIONS, &Key::EMPTY, None, limit).await?.len())?;
        self.require_authorizer(&record.authorizer, now, batch).await?;
        self.require_server_certificates(record, now, batch).await?;
        guard.added(batch);
        DOMAIN_CONFIGURATIONS.put_if_absent(batch, &domain_configuration_key(name), record);
        let row = DomainNameRow { configuration: name.to_owned() };
        DOMAIN_NAMES.put_if_absent(batch, &domain_name_key(&record.domain_name), &row);
        let arn = self.domain_configuration_arn(record);
        tags_at_creation(batch, &arn, input.tags.as_ref())?;
        Ok(CreateDomainConfigurationResponse {
            domain_configuration_arn: Some(arn),
            domain_configuration_name: Some(name.to_owned()),
        })
    }

    /// The record that a request asks for; what other records have to say comes later.
    fn draft(
        &self,
        input: &CreateDomainConfigurationRequest,
        now: Timestamp,
    ) -> Result<DomainConfigurationRecord, ApiError> {
        check_name(&input.domain_configuration_name)?;
        check_service_type(input.service_type)?;
        let certificate = input.server_certificate_arns.as_ref().and_then(|arns| arns.first().cloned());
        let domain_name = match (&input.domain_name, &certificate) {
            (Some(name), Some(_)) => check_domain_name(name)?,
            (Some(name), None) => {
                return Err(ApiError::invalid(format!(
                    "The domain name {name} needs a server certificate: give its ARN in serverCertificateArns"
                )));
            }
            (None, Some(_)) => {
                return Err(ApiError::invalid("serverCertificateArns is only for a domainName of your own"));
            }
            (None, None) => self.managed_domain(),
        };
        if domain_name.eq_ignore_ascii_case(self.endpoint.host()) {
            return Err(ApiError::invalid(format!(
                "The domain name {domain_name} is the default endpoint's"
            )));
        }
        let mut record = DomainConfigurationRecord {
            name: input.domain_configuration_name.clone(),
            id: self.uuid().chars().filter(|c| *c != '-').take(5).collect(),
            domain_name,
            managed: input.domain_name.is_none(),
            enabled: true,
            status_changed: now,
            authorizer: DomainAuthorizer::default(),
            security_policy: self.usual_security_policy(),
            authentication_type: AuthenticationType::Default,
            application_protocol: ApplicationProtocol::Default,
            server_certificate_arn: certificate,
            validation_certificate_arn: input.validation_certificate_arn.clone(),
            server_certificate_config: None,
            client_certificate_callback: None,
        };
        Settings {
            authentication_type: input.authentication_type,
            application_protocol: input.application_protocol,
            authorizer: input.authorizer_config.as_ref(),
            tls: input.tls_config.as_ref(),
            server_certificate: input.server_certificate_config.as_ref(),
            client_certificate: input.client_certificate_config.as_ref(),
        }
        .apply(&mut record)?;
        Ok(record)
    }

    /// A domain name as AWS gives them.
    fn managed_domain(&self) -> String {
        let label: String = self.uuid().chars().filter(|c| *c != '-').take(19).collect();
        let suffix = if self.site.partition() == "aws-cn" { ".cn" } else { "" };
        format!("d{label}-ats.iot.{}.amazonaws.com{suffix}", self.site.region)
    }

    async fn require_free(&self, domain_name: &str, now: Timestamp) -> Result<(), ApiError> {
        let Some(taken) = self.records.get(&DOMAIN_NAMES, &domain_name_key(domain_name), now).await? else {
            return Ok(());
        };
        let name = taken.value.configuration;
        let record = self.records.get(&DOMAIN_CONFIGURATIONS, &domain_configuration_key(&name), now).await?;
        let arn = record.map_or_else(String::new, |record| self.domain_configuration_arn(&record.value));
        let message = format!("The domain name {domain_name} belongs to the domain configuration {name}");
        Err(ApiError::exists(message, &name, arn))
    }

    /// Demands that the default authorizer exists.
    async fn require_authorizer(
        &self,
        authorizer: &DomainAuthorizer,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let Some(name) = &authorizer.default else { return Ok(()) };
        let key = Key::of(&[name.as_str()]);
        if self.records.get(&AUTHORIZERS, &key, now).await?.is_none() {
            return Err(ApiError::invalid(format!("The authorizer {name} does not exist")));
        }
        AUTHORIZERS.check(batch, &key, Condition::Exists);
        Ok(())
    }

    /// `DescribeDomainConfiguration`, also of the default endpoints (`iot:Data-ATS` and its like).
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_domain_configuration(
        &self,
        input: DescribeDomainConfigurationRequest,
        now: Timestamp,
    ) -> Result<DescribeDomainConfigurationResponse, ApiError> {
        if let Some((name, service)) = default_of(&input.domain_configuration_name) {
            return Ok(self.describe_default(name, service));
        }
        let record = self.domain_configuration(&input.domain_configuration_name, now).await?.value;
        let server_certificates = self.describe_server_certificates(&record, now).await?;
        let authorizer = &record.authorizer;
        Ok(DescribeDomainConfigurationResponse {
            domain_configuration_arn: Some(self.domain_configuration_arn(&record)),
            server_certificates: Some(server_certificates),
            authorizer_config: (*authorizer != DomainAuthorizer::default()).then(|| AuthorizerConfig {
                default_authorizer_name: authorizer.default.clone(),
                allow_authorizer_override: authorizer.allow_override,
            }),
            domain_configuration_status: Some(status_out(record.enabled)),
            domain_type: Some(match record.managed {
                true => DomainType::AwsManaged,
                false => DomainType::CustomerManaged,
            }),
            last_status_change_date: Some(record.status_changed.into()),
            service_type: Some(shapes::ServiceType::Data),
            authentication_type: record.authentication_type.as_str().parse().ok(),
            application_protocol: record.application_protocol.as_str().parse().ok(),
            tls_config: Some(TlsConfig { security_policy: Some(record.security_policy.as_str().to_owned()) }),
            client_certificate_config: record
                .client_certificate_callback
                .map(|arn| ClientCertificateConfig { client_certificate_callback_arn: Some(arn) }),
            server_certificate_config: record.server_certificate_config.map(ocsp_out),
            domain_name: Some(record.domain_name),
            domain_configuration_name: Some(record.name),
        })
    }

    fn describe_default(&self, name: &str, service: ServiceType) -> DescribeDomainConfigurationResponse {
        let policy = self.usual_security_policy().as_str().to_owned();
        DescribeDomainConfigurationResponse {
            domain_configuration_name: Some(name.to_owned()),
            domain_configuration_arn: Some(self.site.arn("domainconfiguration", name)),
            domain_name: Some(self.endpoint.host().to_owned()),
            server_certificates: Some(Vec::new()),
            domain_configuration_status: Some(DomainConfigurationStatus::Enabled),
            service_type: service.as_str().parse().ok(),
            domain_type: Some(DomainType::Endpoint),
            tls_config: Some(TlsConfig { security_policy: Some(policy) }),
            authentication_type: Some(shapes::AuthenticationType::Default),
            application_protocol: Some(shapes::ApplicationProtocol::Default),
            ..Default::default()
        }
    }

    /// What the certificate of a domain is worth now.
    async fn describe_server_certificates(
        &self,
        record: &DomainConfigurationRecord,
        now: Timestamp,
    ) -> Result<Vec<ServerCertificateSummary>, ApiError> {
        let Some(arn) = &record.server_certificate_arn else { return Ok(Vec::new()) };
        let found = self.server_certificate(arn, now).await?;
        let problem = match found {
            None => Some("The certificate does not exist any more".to_owned()),
            Some(stored) => self.certificate_problem(&stored.value, &record.domain_name, now),
        };
        let status = match problem {
            Some(_) => ServerCertificateStatus::Invalid,
            None => ServerCertificateStatus::Valid,
        };
        Ok(vec![ServerCertificateSummary {
            server_certificate_arn: Some(arn.clone()),
            server_certificate_status: Some(status),
            server_certificate_status_detail: problem,
        }])
    }

    /// `UpdateDomainConfiguration`: what is given takes the place of what is there.
    ///
    /// # Errors
    /// InvalidRequest, also for the default endpoints; ResourceNotFound.
    pub async fn update_domain_configuration(
        &self,
        input: UpdateDomainConfigurationRequest,
        now: Timestamp,
    ) -> Result<UpdateDomainConfigurationResponse, ApiError> {
        let removes = input.remove_authorizer_config.unwrap_or(false);
        if removes && input.authorizer_config.is_some() {
            return Err(ApiError::invalid("authorizerConfig and removeAuthorizerConfig exclude each other"));
        }
        refuse_default(&input.domain_configuration_name, "updated")?;
        until_committed!(self.records, now, |batch| self.plan_update_domain(&input, removes, now, &mut batch))
    }

    async fn plan_update_domain(
        &self,
        input: &UpdateDomainConfigurationRequest,
        removes: bool,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<UpdateDomainConfigurationResponse, ApiError> {
        let stored = self.domain_configuration(&input.domain_configuration_name, now).await?;
        let mut record = stored.value.clone();
        if removes {
            record.authorizer = DomainAuthorizer::default();
        }
        Settings {
            authentication_type: input.authentication_type,
            application_protocol: input.application_protocol,
            authorizer: input.authorizer_config.as_ref(),
            tls: input.tls_config.as_ref(),
            server_certificate: input.server_certificate_config.as_ref(),
            client_certificate: input.client_certificate_config.as_ref(),
        }
        .apply(&mut record)?;
        if input.authorizer_config.is_some() {
            self.require_authorizer(&record.authorizer, now, batch).await?;
        }
        let enabled = input.domain_configuration_status.map(|it| it == DomainConfigurationStatus::Enabled);
        if let Some(enabled) = enabled.filter(|enabled| *enabled != record.enabled) {
            (record.enabled, record.status_changed) = (enabled, now);
        }
        if record != stored.value {
            DOMAIN_CONFIGURATIONS.put_if(batch, &stored.key, stored.revision, &record);
        }
        Ok(UpdateDomainConfigurationResponse {
            domain_configuration_arn: Some(self.domain_configuration_arn(&record)),
            domain_configuration_name: Some(record.name),
        })
    }

    /// `DeleteDomainConfiguration`.
    ///
    /// # Errors
    /// ResourceNotFound; InvalidRequest while it is ENABLED, for 7 days after that if the domain is AWS's, and for the
    /// default endpoints.
    pub async fn delete_domain_configuration(
        &self,
        input: DeleteDomainConfigurationRequest,
        now: Timestamp,
    ) -> Result<DeleteDomainConfigurationResponse, ApiError> {
        refuse_default(&input.domain_configuration_name, "deleted")?;
        until_committed!(self.records, now, |batch| async {
            let stored = self.domain_configuration(&input.domain_configuration_name, now).await?;
            check_delete(&stored.value, now)?;
            DOMAIN_CONFIGURATIONS.delete_if(&mut batch, &stored.key, stored.revision);
            DOMAIN_NAMES.delete(&mut batch, &domain_name_key(&stored.value.domain_name));
            forget_tags(&self.records, &self.domain_configuration_arn(&stored.value), now, &mut batch)
                .await?;
            Ok::<_, ApiError>(DeleteDomainConfigurationResponse {})
        })
    }

    /// `ListDomainConfigurations`, by name, the default endpoints among them.
    ///
    /// # Errors
    /// InvalidRequest for a bad marker or page size.
    pub async fn list_domain_configurations(
        &self,
        input: ListDomainConfigurationsRequest,
        now: Timestamp,
    ) -> Result<ListDomainConfigurationsResponse, ApiError> {
        let limit = (limits::DOMAIN_CONFIGURATIONS, now);
        let own = self.records.scan(&DOMAIN_CONFIGURATIONS, &Key::EMPTY, None, limit).await?;
        let own = own.into_iter().map(|row| DomainConfigurationSummary {
            domain_configuration_arn: Some(self.domain_configuration_arn(&row.value)),
            domain_configuration_name: Some(row.value.name),
            service_type: Some(shapes::ServiceType::Data),
        });
        let defaults = DEFAULTS.iter().map(|(name, service)| DomainConfigurationSummary {
            domain_configuration_arn: Some(self.site.arn("domainconfiguration", name)),
            domain_configuration_name: Some((*name).to_owned()),
            service_type: service.as_str().parse().ok(),
        });
        let mut all: Vec<_> = own.chain(defaults).collect();
        all.retain(|one| input.service_type.is_none() || one.service_type == input.service_type);
        all.sort_by(|one, other| one.domain_configuration_name.cmp(&other.domain_configuration_name));
        let size = page::size(input.page_size, limits::PAGE_MARKER)?;
        let (page, next_marker) = page::of_whole(all, input.marker.as_deref(), size)?;
        Ok(ListDomainConfigurationsResponse { domain_configurations: Some(page), next_marker })
    }

    pub(crate) fn domain_configuration_arn(&self, record: &DomainConfigurationRecord) -> String {
        self.site.arn("domainconfiguration", &format!("{}/{}", record.name, record.id))
    }

    /// With its id, which is empty as long as there is none, and without.
    pub(crate) async fn arns_of_domain_configuration(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, ApiError> {
        let named = self.site.arn("domainconfiguration", name);
        let found = self.records.get(&DOMAIN_CONFIGURATIONS, &domain_configuration_key(name), now).await?;
        let own = match found {
            Some(found) => self.domain_configuration_arn(&found.value),
            None => format!("{named}/"),
        };
        Ok(vec![own, named])
    }

    async fn domain_configuration(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Stored<DomainConfigurationRecord>, ApiError> {
        let found = self.records.get(&DOMAIN_CONFIGURATIONS, &domain_configuration_key(name), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("The domain configuration {name} does not exist")))
    }
}

/// What both a creation and a change can say.
struct Settings<'a> {
    authentication_type: Option<shapes::AuthenticationType>,
    application_protocol: Option<shapes::ApplicationProtocol>,
    authorizer: Option<&'a AuthorizerConfig>,
    tls: Option<&'a TlsConfig>,
    server_certificate: Option<&'a ServerCertificateConfig>,
    client_certificate: Option<&'a ClientCertificateConfig>,
}

impl Settings<'_> {
    fn apply(&self, record: &mut DomainConfigurationRecord) -> Result<(), ApiError> {
        if let Some(asked) = self.authentication_type {
            let read = AuthenticationType::parse(asked.as_str());
            record.authentication_type = read.ok_or_else(|| unknown(asked.as_str()))?;
        }
        if let Some(asked) = self.application_protocol {
            let read = ApplicationProtocol::parse(asked.as_str());
            record.application_protocol = read.ok_or_else(|| unknown(asked.as_str()))?;
        }
        check_pair(record.authentication_type, record.application_protocol)?;
        if let Some(asked) = self.authorizer {
            let now = &mut record.authorizer;
            now.default = asked.default_authorizer_name.clone().or(now.default.take());
            now.allow_override = asked.allow_authorizer_override.or(now.allow_override);
        }
        check_authorizer(&record.authorizer)?;
        if let Some(asked) = self.tls.and_then(|tls| tls.security_policy.as_deref()) {
            record.security_policy = SecurityPolicy::asked(asked)?;
        }
        if let Some(asked) = self.server_certificate {
            record.server_certificate_config = Some(ocsp_in(asked)?);
        }
        if let Some(arn) =
            self.client_certificate.and_then(|it| it.client_certificate_callback_arn.as_deref())
        {
            record.client_certificate_callback = callback(arn)?;
        }
        Ok(())
    }
}

/// An empty ARN takes the function away.
fn callback(arn: &str) -> Result<Option<String>, ApiError> {
    if arn.is_empty() {
        return Ok(None);
    }
    check_lambda_arn("clientCertificateCallbackArn", arn)?;
    Ok(Some(arn.to_owned()))
}

/// No OCSP response is stapled here, so nobody is told that one would be.
fn ocsp_in(asked: &ServerCertificateConfig) -> Result<ServerCertificateConfigRecord, ApiError> {
    if asked.enable_ocsp_check == Some(true) {
        return Err(ApiError::invalid(
            "serverCertificateConfig: enableOCSPCheck cannot be true, OCSP stapling is not built here; \
             leave it out or give false",
        ));
    }
    if let Some(arn) = &asked.ocsp_lambda_arn {
        check_lambda_arn("ocspLambdaArn", arn)?;
    }
    Ok(ServerCertificateConfigRecord {
        enable_ocsp_check: asked.enable_ocsp_check,
        ocsp_lambda_arn: asked.ocsp_lambda_arn.clone(),
        ocsp_authorized_responder_arn: asked.ocsp_authorized_responder_arn.clone(),
    })
}

fn ocsp_out(record: ServerCertificateConfigRecord) -> ServerCertificateConfig {
    ServerCertificateConfig {
        enable_ocsp_check: record.enable_ocsp_check,
        ocsp_lambda_arn: record.ocsp_lambda_arn,
        ocsp_authorized_responder_arn: record.ocsp_authorized_responder_arn,
    }
}

fn unknown(word: &str) -> ApiError {
    ApiError::new(
        ErrorCode::InternalFailure,
        format!("{word} is in the service model and not in the registry"),
    )
}

fn status_out(enabled: bool) -> DomainConfigurationStatus {
    if enabled { DomainConfigurationStatus::Enabled } else { DomainConfigurationStatus::Disabled }
}

/// AWS's own word: only DATA is supported.
fn check_service_type(asked: Option<shapes::ServiceType>) -> Result<(), ApiError> {
    match asked {
        None | Some(shapes::ServiceType::Data) => Ok(()),
        Some(other) => {
            Err(ApiError::invalid(format!("The service type {} is not supported; DATA is", other.as_str())))
        }
    }
}

fn default_of(name: &str) -> Option<(&'static str, ServiceType)> {
    DEFAULTS.iter().copied().find(|(known, _)| *known == name)
}

fn refuse_default(name: &str, what: &str) -> Result<(), ApiError> {
    match default_of(name) {
        Some(_) => Err(ApiError::invalid(format!(
            "{name} is the configuration of a default endpoint and cannot be {what}"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
