//! Requests per second that AWS grants to the operations of its control plane.
//!
//! Source: AWS IoT Core endpoints and quotas, *AWS IoT Core API throttling limits*. The data plane's operations have
//! rows of their own in the table of quotas.

/// The rate of one operation, for the whole account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRate {
    /// `CreateThing`.
    pub operation: &'static str,
    /// Requests per second in most Regions.
    pub default: u32,
    /// Requests per second in the Regions with lower defaults.
    pub select: u32,
    /// Whether AWS raises it on request.
    pub adjustable: bool,
}

impl ApiRate {
    /// The rate of an operation of the control plane.
    pub fn of(operation: &str) -> Option<&'static Self> {
        API_RATES.binary_search_by(|row| row.operation.cmp(operation)).ok().and_then(|at| API_RATES.get(at))
    }
}

macro_rules! rates {
    ($($operation:ident $default:literal $select:literal $adjust:ident;)*) => {
        /// The table, by operation.
        pub static API_RATES: &[ApiRate] = &[$(ApiRate {
            operation: stringify!($operation),
            default: $default,
            select: $select,
            adjustable: rates!(@ $adjust),
        },)*];
    };
    (@ adjustable) => { true };
    (@ fixed) => { false };
}

rates! {
    AcceptCertificateTransfer 10 10 adjustable;
    AddThingToBillingGroup 60 60 adjustable;
    AddThingToThingGroup 100 60 adjustable;
    AttachPolicy 15 15 adjustable;
    AttachPrincipalPolicy 15 15 adjustable;
    AttachThingPrincipal 100 50 adjustable;
    CancelCertificateTransfer 10 10 adjustable;
    ClearDefaultAuthorizer 10 10 adjustable;
    CreateAuthorizer 10 10 fixed;
    CreateBillingGroup 25 25 adjustable;
    CreateCertificateFromCsr 15 15 adjustable;
    CreateCertificateProvider 1 1 fixed;
    CreateDomainConfiguration 1 1 fixed;
    CreateDynamicThingGroup 5 5 adjustable;
    CreateKeysAndCertificate 10 10 adjustable;
    CreatePolicy 10 10 adjustable;
    CreatePolicyVersion 10 10 adjustable;
    CreateProvisioningClaim 10 10 adjustable;
    CreateProvisioningTemplate 10 10 fixed;
    CreateProvisioningTemplateVersion 10 10 fixed;
    CreateRoleAlias 10 10 fixed;
    CreateThing 100 50 adjustable;
    CreateThingGroup 25 25 adjustable;
    CreateThingType 15 15 adjustable;
    CreateTopicRule 5 5 fixed;
    CreateTopicRuleDestination 5 5 fixed;
    DeleteAuthorizer 10 10 fixed;
    DeleteBillingGroup 15 15 adjustable;
    DeleteCACertificate 10 10 adjustable;
    DeleteCertificate 10 10 adjustable;
    DeleteCertificateProvider 1 1 fixed;
    DeleteDomainConfiguration 10 10 fixed;
    DeleteDynamicThingGroup 5 5 adjustable;
    DeletePolicy 10 10 adjustable;
    DeletePolicyVersion 10 10 adjustable;
    DeleteProvisioningTemplate 10 10 adjustable;
    DeleteProvisioningTemplateVersion 10 10 fixed;
    DeleteRegistrationCode 10 10 adjustable;
    DeleteRoleAlias 10 10 fixed;
    DeleteThing 100 50 adjustable;
    DeleteThingGroup 15 15 adjustable;
    DeleteThingType 15 15 adjustable;
    DeleteTopicRule 20 5 fixed;
    DeleteTopicRuleDestination 5 5 fixed;
    DeleteV2LoggingLevel 2 2 fixed;
    DeprecateThingType 15 15 adjustable;
    DescribeAuthorizer 10 10 adjustable;
    DescribeBillingGroup 100 100 adjustable;
    DescribeCACertificate 10 10 adjustable;
    DescribeCertificate 10 10 adjustable;
    DescribeCertificateProvider 10 10 fixed;
    DescribeDefaultAuthorizer 10 10 adjustable;
    DescribeDomainConfiguration 10 10 adjustable;
    DescribeEncryptionConfiguration 10 10 fixed;
    DescribeEndpoint 10 10 fixed;
    DescribeEventConfigurations 10 10 adjustable;
    DescribeProvisioningTemplate 10 10 adjustable;
    DescribeProvisioningTemplateVersion 10 10 adjustable;
    DescribeRoleAlias 10 10 adjustable;
    DescribeThing 350 350 adjustable;
    DescribeThingGroup 100 100 adjustable;
    DescribeThingRegistrationTask 10 10 adjustable;
    DescribeThingType 100 50 adjustable;
    DetachPolicy 15 15 adjustable;
    DetachPrincipalPolicy 15 15 adjustable;
    DetachThingPrincipal 100 50 adjustable;
    DisableTopicRule 5 5 fixed;
    EnableTopicRule 5 5 fixed;
    GetEffectivePolicies 5 5 fixed;
    GetLoggingOptions 2 2 fixed;
    GetPolicy 10 10 adjustable;
    GetPolicyVersion 15 15 adjustable;
    GetRegistrationCode 10 10 adjustable;
    GetTopicRule 200 20 fixed;
    GetTopicRuleDestination 50 5 fixed;
    GetV2LoggingOptions 2 2 fixed;
    ListAttachedPolicies 15 15 adjustable;
    ListAuthorizers 10 10 adjustable;
    ListBillingGroups 10 10 adjustable;
    ListCACertificates 10 10 adjustable;
    ListCertificateProviders 10 10 fixed;
    ListCertificates 10 10 adjustable;
    ListCertificatesByCA 10 10 adjustable;
    ListDomainConfigurations 10 10 adjustable;
    ListOutgoingCertificates 10 10 adjustable;
    ListPolicies 10 10 adjustable;
    ListPolicyPrincipals 10 10 adjustable;
    ListPolicyVersions 10 10 adjustable;
    ListPrincipalPolicies 15 15 adjustable;
    ListPrincipalThings 10 10 adjustable;
    ListPrincipalThingsV2 10 10 adjustable;
    ListProvisioningTemplateVersions 10 10 adjustable;
    ListProvisioningTemplates 10 10 adjustable;
    ListRoleAliases 10 10 adjustable;
    ListTagsForResource 10 10 adjustable;
    ListTargetsForPolicy 10 10 adjustable;
    ListThingGroups 10 10 adjustable;
    ListThingGroupsForThing 100 50 adjustable;
    ListThingPrincipals 20 20 adjustable;
    ListThingPrincipalsV2 20 20 adjustable;
    ListThingRegistrationTaskReports 10 10 adjustable;
    ListThingRegistrationTasks 10 10 adjustable;
    ListThingTypes 10 10 adjustable;
    ListThings 10 10 adjustable;
    ListThingsInBillingGroup 25 25 adjustable;
    ListThingsInThingGroup 25 25 adjustable;
    ListTopicRuleDestinations 1 1 fixed;
    ListTopicRules 2 2 fixed;
    ListV2LoggingLevels 2 2 fixed;
    RegisterCACertificate 10 10 adjustable;
    RegisterCertificate 10 10 adjustable;
    RegisterCertificateWithoutCA 10 10 adjustable;
    RegisterThing 10 10 adjustable;
    RejectCertificateTransfer 10 10 adjustable;
    RemoveThingFromBillingGroup 30 30 adjustable;
    RemoveThingFromThingGroup 100 50 adjustable;
    ReplaceTopicRule 5 5 fixed;
    SetDefaultAuthorizer 10 10 adjustable;
    SetDefaultPolicyVersion 10 10 adjustable;
    SetLoggingOptions 2 2 fixed;
    SetV2LoggingLevel 2 2 fixed;
    SetV2LoggingOptions 2 2 fixed;
    StartThingRegistrationTask 10 10 adjustable;
    StopThingRegistrationTask 10 10 adjustable;
    TagResource 10 10 adjustable;
    TestAuthorization 10 10 fixed;
    TestInvokeAuthorizer 10 10 fixed;
    TransferCertificate 10 10 adjustable;
    UntagResource 10 10 adjustable;
    UpdateAuthorizer 10 10 adjustable;
    UpdateBillingGroup 15 15 adjustable;
    UpdateCACertificate 10 10 adjustable;
    UpdateCertificate 10 10 adjustable;
    UpdateCertificateProvider 1 1 fixed;
    UpdateDomainConfiguration 10 10 adjustable;
    UpdateDynamicThingGroup 5 5 adjustable;
    UpdateEncryptionConfiguration 1 1 fixed;
    UpdateEventConfigurations 10 10 adjustable;
    UpdateProvisioningTemplate 10 10 adjustable;
    UpdateRoleAlias 10 10 adjustable;
    UpdateThing 100 50 adjustable;
    UpdateThingGroup 15 15 adjustable;
    UpdateThingGroupsForThing 10 10 adjustable;
    UpdateThingType 15 15 adjustable;
    UpdateTopicRuleDestination 5 5 fixed;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_sorted_and_found() {
        assert!(API_RATES.is_sorted_by(|a, b| a.operation < b.operation));
        for row in API_RATES {
            assert_eq!(ApiRate::of(row.operation), Some(row));
            assert!(row.select <= row.default && row.select > 0, "{}", row.operation);
        }
        assert_eq!(ApiRate::of("DescribeThing").map(|row| row.default), Some(350));
        assert_eq!(ApiRate::of("Nonsense"), None);
    }
}
