//! Things.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    CreateThing => create_thing,
    DescribeThing => describe_thing,
    UpdateThing => update_thing,
    DeleteThing => delete_thing,
    ListThings => list_things,
];
