//! Thing types.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    CreateThingType => create_thing_type,
    DescribeThingType => describe_thing_type,
    UpdateThingType => update_thing_type,
    DeprecateThingType => deprecate_thing_type,
    DeleteThingType => delete_thing_type,
    ListThingTypes => list_thing_types,
];
