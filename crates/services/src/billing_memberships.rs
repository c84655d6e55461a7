//! Things in billing groups: joining and leaving. A thing is in one at most.
//!
//! Source: API reference, *AddThingToBillingGroup* and its neighbours.

use identity::Timestamp;
use registry::billing_groups::{BILLING_GROUP_THINGS, BilledThingRow, billed_thing_key, check_join};
use registry::things::THINGS;
use store::{Batch, Key};

use crate::billing_groups::keep_billing_group;
use crate::commit::until_committed;
use crate::page::Page;
use crate::shapes::{
    AddThingToBillingGroupRequest, AddThingToBillingGroupResponse, ListThingsInBillingGroupRequest,
    ListThingsInBillingGroupResponse, RemoveThingFromBillingGroupRequest,
    RemoveThingFromBillingGroupResponse,
};
use crate::{ApiError, Services};

impl Services {
    /// `AddThingToBillingGroup`. Joining again succeeds. The thing's version stays.
    ///
    /// # Errors
    /// ResourceNotFound for thing or group; InvalidRequest when the thing is in another billing group.
    pub async fn add_thing_to_billing_group(
        &self,
        input: AddThingToBillingGroupRequest,
        now: Timestamp,
    ) -> Result<AddThingToBillingGroupResponse, ApiError> {
        let thing = self.named("thing", "thing", input.thing_name, input.thing_arn)?;
        let group =
            self.named("billingGroup", "billinggroup", input.billing_group_name, input.billing_group_arn)?;
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.thing(&thing, now).await?;
            let present = stored.value.billing_group.as_deref();
            let is_there = present == Some(group.as_str());
            self.billing_group(&group, now).await?;
            check_join(&thing, present, &group)?;
            if !is_there {
                self.plan_bill_to(&group, &thing, now, &mut batch).await?;
                stored.value.billing_group = Some(group.clone());
                THINGS.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
            }
            Ok::<_, ApiError>(AddThingToBillingGroupResponse {})
        })
    }

    /// Adds a group's row for a thing whose record the same batch writes.
    pub(crate) async fn plan_bill_to(
        &self,
        group: &str,
        thing: &str,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let stored = self.billing_group(group, now).await?;
        keep_billing_group(&stored, batch)?;
        BILLING_GROUP_THINGS.put(batch, &billed_thing_key(group, thing), &BilledThingRow {});
        Ok(())
    }

    /// `RemoveThingFromBillingGroup`. A thing that is not in the group succeeds. The thing's version stays.
    ///
    /// # Errors
    /// ResourceNotFound for thing or group.
    pub async fn remove_thing_from_billing_group(
        &self,
        input: RemoveThingFromBillingGroupRequest,
        now: Timestamp,
    ) -> Result<RemoveThingFromBillingGroupResponse, ApiError> {
        let thing = self.named("thing", "thing", input.thing_name, input.thing_arn)?;
        let group =
            self.named("billingGroup", "billinggroup", input.billing_group_name, input.billing_group_arn)?;
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.thing(&thing, now).await?;
            self.billing_group(&group, now).await?;
            if stored.value.billing_group.as_deref() == Some(group.as_str()) {
                stored.value.billing_group = None;
                THINGS.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
                BILLING_GROUP_THINGS.delete(&mut batch, &billed_thing_key(&group, &thing));
            }
            Ok::<_, ApiError>(RemoveThingFromBillingGroupResponse {})
        })
    }

    /// `ListThingsInBillingGroup`, by name.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest for a bad token.
    pub async fn list_things_in_billing_group(
        &self,
        input: ListThingsInBillingGroupRequest,
        now: Timestamp,
    ) -> Result<ListThingsInBillingGroupResponse, ApiError> {
        self.billing_group(&input.billing_group_name, now).await?;
        let prefix = Key::of(&[&input.billing_group_name]);
        let page = Page::token(&prefix, input.next_token.as_deref(), input.max_results)?;
        let limit = (page.scan_limit(), now);
        let mut rows = self.records.scan(&BILLING_GROUP_THINGS, &prefix, page.after.as_ref(), limit).await?;
        let next_token = page.cut(&mut rows, |row| row.key.clone());
        let things = rows.iter().filter_map(|row| row.key.parts().pop()).collect();
        Ok(ListThingsInBillingGroupResponse { next_token, things: Some(things) })
    }
}
