//! Domain configurations.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot by access:
    CreateDomainConfiguration => create_domain_configuration,
    DeleteDomainConfiguration => delete_domain_configuration,
    DescribeDomainConfiguration => describe_domain_configuration,
    ListDomainConfigurations => list_domain_configurations,
    UpdateDomainConfiguration => update_domain_configuration,
];
