//! The operations for which serde structures are generated. Adding an operation to the product starts here.

/// Operations of `iot`.
pub const IOT: &[&str] = &[
    // certificates
    "CreateKeysAndCertificate",
    "CreateCertificateFromCsr",
    "RegisterCertificate",
    "RegisterCertificateWithoutCA",
    "DescribeCertificate",
    "UpdateCertificate",
    "DeleteCertificate",
    "ListCertificates",
    "ListCertificatesByCA",
    // certificate authorities
    "RegisterCACertificate",
    "DescribeCACertificate",
    "ListCACertificates",
    "UpdateCACertificate",
    "DeleteCACertificate",
    "GetRegistrationCode",
    "DeleteRegistrationCode",
    // policies
    "CreatePolicy",
    "CreatePolicyVersion",
    "GetPolicy",
    "GetPolicyVersion",
    "ListPolicies",
    "ListPolicyVersions",
    "SetDefaultPolicyVersion",
    "DeletePolicyVersion",
    "DeletePolicy",
    // attachments of policies
    "AttachPolicy",
    "DetachPolicy",
    "ListAttachedPolicies",
    "ListTargetsForPolicy",
    "AttachPrincipalPolicy",
    "DetachPrincipalPolicy",
    "ListPrincipalPolicies",
    "ListPolicyPrincipals",
    // what policies say
    "TestAuthorization",
    "GetEffectivePolicies",
    // custom authorizers
    "CreateAuthorizer",
    "UpdateAuthorizer",
    "DescribeAuthorizer",
    "DeleteAuthorizer",
    "ListAuthorizers",
    "SetDefaultAuthorizer",
    "ClearDefaultAuthorizer",
    "DescribeDefaultAuthorizer",
    "TestInvokeAuthorizer",
    // things
    "CreateThing",
    "DescribeThing",
    "UpdateThing",
    "DeleteThing",
    "ListThings",
    // thing types
    "CreateThingType",
    "DescribeThingType",
    "UpdateThingType",
    "DeprecateThingType",
    "DeleteThingType",
    "ListThingTypes",
    // thing groups
    "CreateThingGroup",
    "DescribeThingGroup",
    "UpdateThingGroup",
    "DeleteThingGroup",
    "ListThingGroups",
    "AddThingToThingGroup",
    "RemoveThingFromThingGroup",
    "UpdateThingGroupsForThing",
    "ListThingGroupsForThing",
    "ListThingsInThingGroup",
    // billing groups
    "CreateBillingGroup",
    "DescribeBillingGroup",
    "UpdateBillingGroup",
    "DeleteBillingGroup",
    "ListBillingGroups",
    "AddThingToBillingGroup",
    "RemoveThingFromBillingGroup",
    "ListThingsInBillingGroup",
    // principals of things
    "AttachThingPrincipal",
    "DetachThingPrincipal",
    "ListThingPrincipals",
    "ListThingPrincipalsV2",
    "ListPrincipalThings",
    "ListPrincipalThingsV2",
    // provisioning
    "CreateProvisioningTemplate",
    "DescribeProvisioningTemplate",
    "UpdateProvisioningTemplate",
    "DeleteProvisioningTemplate",
    "ListProvisioningTemplates",
    "CreateProvisioningTemplateVersion",
    "DescribeProvisioningTemplateVersion",
    "DeleteProvisioningTemplateVersion",
    "ListProvisioningTemplateVersions",
    "RegisterThing",
    // tags and the endpoint
    "TagResource",
    "UntagResource",
    "ListTagsForResource",
    "DescribeEndpoint",
    // domain configurations
    "CreateDomainConfiguration",
    "DescribeDomainConfiguration",
    "UpdateDomainConfiguration",
    "DeleteDomainConfiguration",
    "ListDomainConfigurations",
    // logging
    "SetLoggingOptions",
    "GetLoggingOptions",
    "SetV2LoggingOptions",
    "GetV2LoggingOptions",
    "SetV2LoggingLevel",
    "ListV2LoggingLevels",
    "DeleteV2LoggingLevel",
];

/// Operations of `iot-data`.
pub const IOT_DATA: &[&str] = &[
    "Publish",
    "GetRetainedMessage",
    "ListRetainedMessages",
    // connections
    "DeleteConnection",
    "GetConnection",
    "ListSubscriptions",
    "SendDirectMessage",
];

/// Operations of `iot-jobs-data`.
pub const IOT_JOBS_DATA: &[&str] = &[];
