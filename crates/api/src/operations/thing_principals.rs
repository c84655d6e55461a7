//! Principals of things.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    AttachThingPrincipal => attach_thing_principal,
    DetachThingPrincipal => detach_thing_principal,
    ListThingPrincipals => list_thing_principals,
    ListThingPrincipalsV2 => list_thing_principals_v2,
    ListPrincipalThings => list_principal_things,
    ListPrincipalThingsV2 => list_principal_things_v2,
];
