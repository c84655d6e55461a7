//! Principals attached to things.
//!
//! Sources: API reference, *AttachThingPrincipal* and its neighbours; developer guide, *Associating an AWS IoT thing to
//! an MQTT client connection*.

use identity::Timestamp;
use registry::attachments::Target;
use registry::guard::Guarded;
use registry::thing_principals::{
    PRINCIPAL_THINGS, THING_PRINCIPALS, ThingPrincipalRecord, ThingPrincipalType, check_attach,
    principal_thing_key, thing_principal_key,
};
use registry::things::THINGS;
use store::{Batch, Condition, Key, Keyspace};

use crate::commit::until_committed;
use crate::page::{self, Page};
use crate::shapes::{
    self, AttachThingPrincipalRequest, AttachThingPrincipalResponse, DetachThingPrincipalRequest,
    DetachThingPrincipalResponse, ListPrincipalThingsRequest, ListPrincipalThingsResponse,
    ListPrincipalThingsV2Request, ListPrincipalThingsV2Response, ListThingPrincipalsRequest,
    ListThingPrincipalsResponse, ListThingPrincipalsV2Request, ListThingPrincipalsV2Response,
    PrincipalThingObject, ThingPrincipalObject,
};
use crate::{ApiError, Services};

/// How many attachments one page of a filtered list looks at; it may hold fewer than asked for, and leads on.
const LOOKED_AT: usize = 1_000;

/// One page of attachments from either side.
struct Asked<'a> {
    owner: &'a str,
    token: Option<&'a str>,
    size: Option<i32>,
    kind: Option<ThingPrincipalType>,
}

impl Services {
    /// `AttachThingPrincipal`. Attaching again in the same way succeeds.
    ///
    /// # Errors
    /// ResourceNotFound for thing or certificate; InvalidRequest for what is no principal, and where exclusiveness
    /// forbids it.
    pub async fn attach_thing_principal(
        &self,
        input: AttachThingPrincipalRequest,
        now: Timestamp,
    ) -> Result<AttachThingPrincipalResponse, ApiError> {
        until_committed!(self.records, now, |batch| self.plan_attach_thing(&input, now, &mut batch))
    }

    async fn plan_attach_thing(
        &self,
        input: &AttachThingPrincipalRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<AttachThingPrincipalResponse, ApiError> {
        let (thing, principal) = (input.thing_name.as_str(), input.principal.as_str());
        let kind = input.thing_principal_type.map_or(ThingPrincipalType::NonExclusive, kind_in);
        let stored = self.thing(thing, now).await?;
        self.require_principal(principal, kind, now, batch).await?;
        let things = self.records.watch(Guarded::PrincipalThings, principal, now).await?;
        let owner = self.records.watch(Guarded::Thing, thing, now).await?;
        let own_key = principal_thing_key(principal, thing);
        let own = self.records.get(&PRINCIPAL_THINGS, &own_key, now).await?;
        // Two rows are enough: an exclusive attachment is the only one, and a second one tells of another thing.
        let some = self.records.scan(&PRINCIPAL_THINGS, &Key::of(&[principal]), None, (2, now)).await?;
        let present: Vec<_> = own
            .iter()
            .chain(&some)
            .filter_map(|row| Some((row.key.parts().pop()?, row.value.kind)))
            .collect();
        check_attach(principal, thing, kind, &present)?;
        if own.is_some() {
            return Ok(AttachThingPrincipalResponse {});
        }
        THINGS.check(batch, &stored.key, Condition::Exists);
        things.added(batch);
        owner.added(batch);
        let record = ThingPrincipalRecord { kind, attached: now };
        THING_PRINCIPALS.put(batch, &thing_principal_key(thing, principal), &record);
        PRINCIPAL_THINGS.put(batch, &own_key, &record);
        Ok(AttachThingPrincipalResponse {})
    }

    async fn require_principal(
        &self,
        principal: &str,
        kind: ThingPrincipalType,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        self.check_principal(principal)?;
        let is_certificate =
            matches!(self.require_target(principal, now, batch).await?, Target::Certificate(_));
        if kind == ThingPrincipalType::Exclusive && !is_certificate {
            return Err(ApiError::invalid("Only a certificate can be attached exclusively"));
        }
        Ok(())
    }

    /// `DetachThingPrincipal`. Detaching what is not attached succeeds.
    ///
    /// # Errors
    /// ResourceNotFound for the thing; InvalidRequest for what is no principal.
    pub async fn detach_thing_principal(
        &self,
        input: DetachThingPrincipalRequest,
        now: Timestamp,
    ) -> Result<DetachThingPrincipalResponse, ApiError> {
        let (thing, principal) = (input.thing_name.as_str(), input.principal.as_str());
        self.check_principal(principal)?;
        until_committed!(self.records, now, |batch| async {
            self.thing(thing, now).await?;
            let key = thing_principal_key(thing, principal);
            if let Some(stored) = self.records.get(&THING_PRINCIPALS, &key, now).await? {
                THING_PRINCIPALS.delete_if(&mut batch, &key, stored.revision);
                PRINCIPAL_THINGS.delete(&mut batch, &principal_thing_key(principal, thing));
            }
            Ok::<_, ApiError>(DetachThingPrincipalResponse {})
        })
    }

    /// `ListThingPrincipals`.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest for a bad token.
    pub async fn list_thing_principals(
        &self,
        input: ListThingPrincipalsRequest,
        now: Timestamp,
    ) -> Result<ListThingPrincipalsResponse, ApiError> {
        self.thing(&input.thing_name, now).await?;
        let (token, size) = (input.next_token.as_deref(), input.max_results);
        let asked = Asked { owner: &input.thing_name, token, size, kind: None };
        let (rows, next_token) = self.thing_attachments(&THING_PRINCIPALS, &asked, now).await?;
        let principals = rows.into_iter().map(|(principal, _)| principal).collect();
        Ok(ListThingPrincipalsResponse { next_token, principals: Some(principals) })
    }

    /// `ListThingPrincipalsV2`.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest for a bad token.
    pub async fn list_thing_principals_v2(
        &self,
        input: ListThingPrincipalsV2Request,
        now: Timestamp,
    ) -> Result<ListThingPrincipalsV2Response, ApiError> {
        self.thing(&input.thing_name, now).await?;
        let (token, size) = (input.next_token.as_deref(), input.max_results);
        let asked =
            Asked { owner: &input.thing_name, token, size, kind: input.thing_principal_type.map(kind_in) };
        let (rows, next_token) = self.thing_attachments(&THING_PRINCIPALS, &asked, now).await?;
        let objects = rows.into_iter().map(|(principal, kind)| ThingPrincipalObject {
            principal,
            thing_principal_type: Some(kind_out(kind)),
        });
        Ok(ListThingPrincipalsV2Response { next_token, thing_principal_objects: Some(objects.collect()) })
    }

    /// `ListPrincipalThings`.
    ///
    /// # Errors
    /// ResourceNotFound for a certificate that does not exist; InvalidRequest for what is no principal, and for a bad
    /// token.
    pub async fn list_principal_things(
        &self,
        input: ListPrincipalThingsRequest,
        now: Timestamp,
    ) -> Result<ListPrincipalThingsResponse, ApiError> {
        let (token, size) = (input.next_token.as_deref(), input.max_results);
        let asked = Asked { owner: &input.principal, token, size, kind: None };
        let (rows, next_token) = self.things_of(&asked, now).await?;
        let things = rows.into_iter().map(|(thing, _)| thing).collect();
        Ok(ListPrincipalThingsResponse { next_token, things: Some(things) })
    }

    /// `ListPrincipalThingsV2`.
    ///
    /// # Errors
    /// As ListPrincipalThings.
    pub async fn list_principal_things_v2(
        &self,
        input: ListPrincipalThingsV2Request,
        now: Timestamp,
    ) -> Result<ListPrincipalThingsV2Response, ApiError> {
        let (token, size) = (input.next_token.as_deref(), input.max_results);
        let asked =
            Asked { owner: &input.principal, token, size, kind: input.thing_principal_type.map(kind_in) };
        let (rows, next_token) = self.things_of(&asked, now).await?;
        let objects = rows.into_iter().map(|(thing_name, kind)| PrincipalThingObject {
            thing_name,
            thing_principal_type: Some(kind_out(kind)),
        });
        Ok(ListPrincipalThingsV2Response { next_token, principal_thing_objects: Some(objects.collect()) })
    }

    async fn things_of(
        &self,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Result<(Vec<(String, ThingPrincipalType)>, Option<String>), ApiError> {
        self.check_principal(asked.owner)?;
        self.require_target(asked.owner, now, &mut Batch::new()).await?;
        self.thing_attachments(&PRINCIPAL_THINGS, asked, now).await
    }

    /// A page of attachments, read from either direction, by name.
    async fn thing_attachments(
        &self,
        space: &Keyspace<ThingPrincipalRecord>,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Result<(Vec<(String, ThingPrincipalType)>, Option<String>), ApiError> {
        let prefix = Key::of(&[asked.owner]);
        let page = Page::token(&prefix, asked.token, asked.size)?;
        let limit = if asked.kind.is_some() { LOOKED_AT } else { page.scan_limit() };
        let rows = self.records.scan(space, &prefix, page.after.as_ref(), (limit, now)).await?;
        let (mut found, mut last, looked_at) = (Vec::new(), None, rows.len());
        for row in rows {
            if found.len() == page.size {
                return Ok((found, last));
            }
            last = Some(page::write(row.key.as_bytes()));
            if asked.kind.is_none_or(|kind| kind == row.value.kind) {
                found.extend(row.key.parts().pop().map(|name| (name, row.value.kind)));
            }
        }
        Ok((found, last.filter(|_| looked_at == limit)))
    }
}

fn kind_in(kind: shapes::ThingPrincipalType) -> ThingPrincipalType {
    match kind {
        shapes::ThingPrincipalType::ExclusiveThing => ThingPrincipalType::Exclusive,
        shapes::ThingPrincipalType::NonExclusiveThing => ThingPrincipalType::NonExclusive,
    }
}

fn kind_out(kind: ThingPrincipalType) -> shapes::ThingPrincipalType {
    match kind {
        ThingPrincipalType::Exclusive => shapes::ThingPrincipalType::ExclusiveThing,
        ThingPrincipalType::NonExclusive => shapes::ThingPrincipalType::NonExclusiveThing,
    }
}

#[cfg(test)]
mod tests;
