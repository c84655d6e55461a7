//! Static thing groups and their members.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    CreateThingGroup => create_thing_group,
    DescribeThingGroup => describe_thing_group,
    UpdateThingGroup => update_thing_group,
    DeleteThingGroup => delete_thing_group,
    ListThingGroups => list_thing_groups,
    AddThingToThingGroup => add_thing_to_thing_group,
    RemoveThingFromThingGroup => remove_thing_from_thing_group,
    UpdateThingGroupsForThing => update_thing_groups_for_thing,
    ListThingGroupsForThing => list_thing_groups_for_thing,
    ListThingsInThingGroup => list_things_in_thing_group,
];
