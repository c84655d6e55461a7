//! Provisioning templates, and the registration of single devices by one.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    CreateProvisioningTemplate => create_provisioning_template,
    DescribeProvisioningTemplate => describe_provisioning_template,
    UpdateProvisioningTemplate => update_provisioning_template,
    DeleteProvisioningTemplate => delete_provisioning_template,
    ListProvisioningTemplates => list_provisioning_templates,
    CreateProvisioningTemplateVersion => create_provisioning_template_version,
    DescribeProvisioningTemplateVersion => describe_provisioning_template_version,
    DeleteProvisioningTemplateVersion => delete_provisioning_template_version,
    ListProvisioningTemplateVersions => list_provisioning_template_versions,
    RegisterThing => register_thing,
];
