//! The quotas in the shape of Service Quotas, service code `iotcore`.
//!
//! Source: Service Quotas API reference, *ListServiceQuotas*, *GetServiceQuota*, *ListAWSDefaultServiceQuotas*,
//! *GetAWSDefaultServiceQuota*, *ListServices*. Quotas without a code of AWS are not in its list.

use dialect::{QUOTAS, Quota, QuotaProfile, Unit};
use identity::{Site, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{ApiError, ErrorCode, Services, page};

/// The code of the only service.
const SERVICE_CODE: &str = "iotcore";
const SERVICE_NAME: &str = "AWS IoT Core";
/// The page when the caller does not say, and the largest.
const PAGE: usize = 100;
/// What a token begins with, so that a token of another list is none.
const TOKEN: &str = "quota:";

/// Input of the lists.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListQuotasRequest {
    /// `iotcore`.
    pub service_code: String,
    /// From the page before.
    pub next_token: Option<String>,
    /// 1 to 100.
    pub max_results: Option<i32>,
    /// Only this quota.
    pub quota_code: Option<String>,
    /// `ACCOUNT`, `RESOURCE` or `ALL`: every quota is one of the account.
    pub quota_applied_at_level: Option<String>,
}

/// Output of the lists.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListQuotasResponse {
    /// For the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// The page.
    pub quotas: Vec<ServiceQuota>,
}

/// Input of the single quotas.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetQuotaRequest {
    /// `iotcore`.
    pub service_code: String,
    /// `L-...`.
    pub quota_code: String,
}

/// Output of the single quotas.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetQuotaResponse {
    /// The quota.
    pub quota: ServiceQuota,
}

/// Input of `ListServices`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListServicesRequest {}

/// Output of `ListServices`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListServicesResponse {
    /// One.
    pub services: Vec<ServiceInfo>,
}

/// A service that has quotas.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceInfo {
    /// `iotcore`.
    pub service_code: &'static str,
    /// For people.
    pub service_name: &'static str,
}

/// A quota as Service Quotas tells of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceQuota {
    /// `iotcore`.
    pub service_code: &'static str,
    /// For people.
    pub service_name: &'static str,
    /// Without an account if it is a default.
    pub quota_arn: String,
    /// `L-...`.
    pub quota_code: &'static str,
    /// AWS's title.
    pub quota_name: &'static str,
    /// The value in force, or the default.
    pub value: f64,
    /// `None`, `Bytes`, `Seconds`...
    pub unit: &'static str,
    /// Whether AWS raises it on request.
    pub adjustable: bool,
    /// None is.
    pub global_quota: bool,
    /// For what is counted in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<QuotaPeriod>,
    /// `ACCOUNT`.
    pub quota_applied_at_level: &'static str,
    /// What happens beyond it.
    pub description: &'static str,
}

/// The time over which a rate is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct QuotaPeriod {
    /// 1.
    pub period_value: i32,
    /// `SECOND`.
    pub period_unit: &'static str,
}

impl Services {
    /// `ListServices`.
    ///
    /// # Errors
    /// None.
    pub async fn list_services(
        &self,
        _input: ListServicesRequest,
        _now: Timestamp,
    ) -> Result<ListServicesResponse, ApiError> {
        let service = ServiceInfo { service_code: SERVICE_CODE, service_name: SERVICE_NAME };
        Ok(ListServicesResponse { services: vec![service] })
    }

    /// `ListServiceQuotas`: the values in force.
    ///
    /// # Errors
    /// NoSuchResource for another service, InvalidPaginationToken.
    pub async fn list_service_quotas(
        &self,
        input: ListQuotasRequest,
        _now: Timestamp,
    ) -> Result<ListQuotasResponse, ApiError> {
        list(&input, |quota| self.applied(quota))
    }

    /// `GetServiceQuota`: the value in force.
    ///
    /// # Errors
    /// NoSuchResource.
    pub async fn get_service_quota(
        &self,
        input: GetQuotaRequest,
        _now: Timestamp,
    ) -> Result<GetQuotaResponse, ApiError> {
        Ok(GetQuotaResponse { quota: self.applied(find(&input)?) })
    }

    /// `ListAWSDefaultServiceQuotas`: AWS's own values.
    ///
    /// # Errors
    /// NoSuchResource for another service, InvalidPaginationToken.
    pub async fn list_aws_default_service_quotas(
        &self,
        input: ListQuotasRequest,
        _now: Timestamp,
    ) -> Result<ListQuotasResponse, ApiError> {
        list(&input, |quota| self.default(quota))
    }

    /// `GetAWSDefaultServiceQuota`: AWS's own value.
    ///
    /// # Errors
    /// NoSuchResource.
    pub async fn get_aws_default_service_quota(
        &self,
        input: GetQuotaRequest,
        _now: Timestamp,
    ) -> Result<GetQuotaResponse, ApiError> {
        Ok(GetQuotaResponse { quota: self.default(find(&input)?) })
    }

    fn applied(&self, quota: &'static Quota) -> ServiceQuota {
        service_quota(quota, self.broker.dialect().quota(quota), &self.site, self.site.account.as_str())
    }

    /// The defaults of the Region that the broker plays, as far as its profile says.
    fn default(&self, quota: &'static Quota) -> ServiceQuota {
        let value = match self.broker.dialect().profile() {
            QuotaProfile::AwsSelect => quota.select,
            QuotaProfile::Aws | QuotaProfile::Unlimited => quota.default,
        };
        service_quota(quota, value, &self.site, "")
    }
}

fn service_quota(quota: &'static Quota, value: u64, site: &Site, account: &str) -> ServiceQuota {
    let code = quota.code.unwrap_or_default();
    let (partition, region) = (site.partition(), &site.region);
    let second = QuotaPeriod { period_value: 1, period_unit: "SECOND" };
    ServiceQuota {
        service_code: SERVICE_CODE,
        service_name: SERVICE_NAME,
        quota_arn: format!("arn:{partition}:servicequotas:{region}:{account}:{SERVICE_CODE}/{code}"),
        quota_code: code,
        quota_name: quota.title,
        value: value as f64,
        unit: unit(quota.unit),
        adjustable: quota.adjustable,
        global_quota: false,
        period: quota.unit.is_rate().then_some(second),
        quota_applied_at_level: "ACCOUNT",
        description: quota.consequence,
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes | Unit::BytesPerSecond => "Bytes",
        Unit::Seconds => "Seconds",
        Unit::Characters | Unit::Count | Unit::PerSecond | Unit::Days => "None",
    }
}

/// The quotas that Service Quotas has, by code.
fn coded() -> Vec<&'static Quota> {
    let mut coded: Vec<&'static Quota> = QUOTAS.iter().filter(|quota| quota.code.is_some()).collect();
    coded.sort_by_key(|quota| quota.code);
    coded
}

fn list(
    input: &ListQuotasRequest,
    of: impl Fn(&'static Quota) -> ServiceQuota,
) -> Result<ListQuotasResponse, ApiError> {
    known(&input.service_code)?;
    let after = input.next_token.as_deref().map(code_of).transpose()?;
    let mut rows = coded();
    rows.retain(|quota| input.quota_code.as_deref().is_none_or(|wanted| quota.code == Some(wanted)));
    rows.retain(|quota| quota.code > after.as_deref());
    if input.quota_applied_at_level.as_deref() == Some("RESOURCE") {
        rows.clear();
    }
    let size = page::size(input.max_results, PAGE)?.min(PAGE);
    let more = rows.len() > size;
    rows.truncate(size);
    let last = rows.last().filter(|_| more).and_then(|quota| quota.code);
    Ok(ListQuotasResponse {
        next_token: last.map(|code| page::write(format!("{TOKEN}{code}").as_bytes())),
        quotas: rows.into_iter().map(of).collect(),
    })
}

fn code_of(token: &str) -> Result<String, ApiError> {
    let bad = || ApiError::new(ErrorCode::InvalidPaginationToken, "NextToken is not one that this list gave");
    let text = page::read(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.as_deref().and_then(|text| text.strip_prefix(TOKEN)).map(str::to_owned).ok_or_else(bad)
}

fn find(input: &GetQuotaRequest) -> Result<&'static Quota, ApiError> {
    known(&input.service_code)?;
    let found = QUOTAS.iter().find(|quota| quota.code == Some(input.quota_code.as_str()));
    found.ok_or_else(|| {
        let text = format!("{SERVICE_CODE} has no quota {}", input.quota_code);
        ApiError::new(ErrorCode::NoSuchResource, text)
    })
}

fn known(service_code: &str) -> Result<(), ApiError> {
    if service_code == SERVICE_CODE {
        return Ok(());
    }
    let text = format!("There is no service {service_code} here, only {SERVICE_CODE}");
    Err(ApiError::new(ErrorCode::NoSuchResource, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::{AccountId, Region};

    fn pages(size: i32) -> Vec<&'static str> {
        let (region, account) = (Region::new("eu-west-1"), AccountId::new("123456789012"));
        let site = Site { region: region.unwrap(), account: account.unwrap() };
        let mut input = ListQuotasRequest {
            service_code: "iotcore".into(),
            max_results: Some(size),
            ..Default::default()
        };
        let mut codes = Vec::new();
        loop {
            let page = list(&input, |quota| service_quota(quota, quota.default, &site, "")).unwrap();
            assert!(page.quotas.len() <= size as usize);
            codes.extend(page.quotas.iter().map(|quota| quota.quota_code));
            input.next_token = page.next_token;
            if input.next_token.is_none() {
                return codes;
            }
        }
    }

    #[test]
    fn pages_hold_every_code_once() {
        let all: Vec<_> = coded().iter().filter_map(|quota| quota.code).collect();
        assert!(all.len() > 60);
        for size in [1, 7, 100] {
            assert_eq!(pages(size), all);
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let get = |service: &str, code: &str| {
            find(&GetQuotaRequest { service_code: service.into(), quota_code: code.into() })
        };
        assert_eq!(get("iotcore", "L-083F3861").unwrap().name, "publishes-per-connection");
        assert_eq!(get("iotcore", "L-00000000").unwrap_err().code, ErrorCode::NoSuchResource);
        assert_eq!(get("ec2", "L-083F3861").unwrap_err().code, ErrorCode::NoSuchResource);
        assert_eq!(code_of("bm9uc2Vuc2U=").unwrap_err().code, ErrorCode::InvalidPaginationToken);
    }
}
