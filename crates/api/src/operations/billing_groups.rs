//! Billing groups and their things.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    CreateBillingGroup => create_billing_group,
    DescribeBillingGroup => describe_billing_group,
    UpdateBillingGroup => update_billing_group,
    DeleteBillingGroup => delete_billing_group,
    ListBillingGroups => list_billing_groups,
    AddThingToBillingGroup => add_thing_to_billing_group,
    RemoveThingFromBillingGroup => remove_thing_from_billing_group,
    ListThingsInBillingGroup => list_things_in_billing_group,
];
