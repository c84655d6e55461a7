//! Custom authorizers: the records, and which one is the account's default. What they decide is in `authentication`.
//!
//! Source: API reference, *CreateAuthorizer* and its neighbours.

use identity::Timestamp;
use pki::RsaPublicKey;
use registry::authorizers::{
    AUTHORIZERS, AuthorizerRecord, AuthorizerStatus as Status, DEFAULT_AUTHORIZER, DefaultAuthorizerRecord,
    authorizer_key, check_active_room, check_room, default_authorizer_key,
};
use registry::guard::Guarded;
use registry::limits;
use registry::order::{self, List, ORDER};
use services::ApiError;
use services::commit::until_committed;
use services::page::Page;
use services::shapes::{
    AuthorizerDescription, AuthorizerStatus, AuthorizerSummary, ClearDefaultAuthorizerRequest,
    ClearDefaultAuthorizerResponse, CreateAuthorizerRequest, CreateAuthorizerResponse,
    DeleteAuthorizerRequest, DeleteAuthorizerResponse, DescribeAuthorizerRequest, DescribeAuthorizerResponse,
    DescribeDefaultAuthorizerRequest, DescribeDefaultAuthorizerResponse, ListAuthorizersRequest,
    ListAuthorizersResponse, SetDefaultAuthorizerRequest, SetDefaultAuthorizerResponse,
    UpdateAuthorizerRequest, UpdateAuthorizerResponse,
};
use services::tags::{forget_tags, tags_at_creation};
use store::{Batch, Condition, Key, Stored};

use crate::Access;

impl Access {
    /// `CreateAuthorizer`. Without a status it is INACTIVE, which authenticates nobody.
    ///
    /// # Errors
    /// ResourceAlreadyExists; LimitExceeded beyond 100, or 32 ACTIVE ones; InvalidRequest for a function that is none,
    /// keys that are none, or missing name or keys of tokens.
    pub async fn create_authorizer(
        &self,
        input: CreateAuthorizerRequest,
        now: Timestamp,
    ) -> Result<CreateAuthorizerResponse, ApiError> {
        let record = created(&input, now);
        check(&record)?;
        until_committed!(self.records, now, |batch| self
            .plan_create_authorizer(&record, &input, now, &mut batch))
    }

    async fn plan_create_authorizer(
        &self,
        record: &AuthorizerRecord,
        input: &CreateAuthorizerRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<CreateAuthorizerResponse, ApiError> {
        let (name, arn) = (&record.name, self.authorizer_arn(&record.name));
        let guard = self.records.watch(Guarded::Authorizers, "", now).await?;
        let present = self.authorizers(now).await?;
        if present.iter().any(|other| other.value.name == *name) {
            let message = format!("Authorizer {name} already exists");
            return Err(ApiError::exists(message, name, arn));
        }
        check_room(present.len())?;
        if record.status == Status::Active {
            check_active_room(active(&present, name))?;
        }
        guard.added(batch);
        AUTHORIZERS.put_if_absent(batch, &authorizer_key(name), record);
        List::Authorizers.add(batch, now, name);
        tags_at_creation(batch, &arn, input.tags.as_ref())?;
        Ok(CreateAuthorizerResponse { authorizer_arn: Some(arn), authorizer_name: Some(name.clone()) })
    }

    /// `UpdateAuthorizer`. What is not given stays; keys that are given take the place of those that were.
    ///
    /// # Errors
    /// ResourceNotFound; LimitExceeded beyond 32 ACTIVE ones; InvalidRequest as in `CreateAuthorizer`.
    pub async fn update_authorizer(
        &self,
        input: UpdateAuthorizerRequest,
        now: Timestamp,
    ) -> Result<UpdateAuthorizerResponse, ApiError> {
        until_committed!(self.records, now, |batch| self.plan_update_authorizer(&input, now, &mut batch))
    }

    async fn plan_update_authorizer(
        &self,
        input: &UpdateAuthorizerRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<UpdateAuthorizerResponse, ApiError> {
        let name = &input.authorizer_name;
        let guard = self.records.watch(Guarded::Authorizers, "", now).await?;
        let mut stored = self.authorizer(name, now).await?;
        let before = stored.value.clone();
        change(&mut stored.value, input);
        check(&stored.value)?;
        if before.status == Status::Inactive && stored.value.status == Status::Active {
            check_active_room(active(&self.authorizers(now).await?, name))?;
            guard.added(batch);
        }
        if stored.value != before {
            stored.value.modified = now;
            AUTHORIZERS.put_if(batch, &stored.key, stored.revision, &stored.value);
        }
        let authorizer_arn = Some(self.authorizer_arn(name));
        Ok(UpdateAuthorizerResponse { authorizer_arn, authorizer_name: Some(name.clone()) })
    }

    /// `DescribeAuthorizer`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_authorizer(
        &self,
        input: DescribeAuthorizerRequest,
        now: Timestamp,
    ) -> Result<DescribeAuthorizerResponse, ApiError> {
        let record = self.authorizer(&input.authorizer_name, now).await?.value;
        Ok(DescribeAuthorizerResponse { authorizer_description: Some(self.authorizer_description(record)) })
    }

    /// `DeleteAuthorizer`.
    ///
    /// # Errors
    /// ResourceNotFound; DeleteConflict while it is ACTIVE or the default.
    pub async fn delete_authorizer(
        &self,
        input: DeleteAuthorizerRequest,
        now: Timestamp,
    ) -> Result<DeleteAuthorizerResponse, ApiError> {
        until_committed!(self.records, now, |batch| self.plan_delete_authorizer(&input, now, &mut batch))
    }

    async fn plan_delete_authorizer(
        &self,
        input: &DeleteAuthorizerRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<DeleteAuthorizerResponse, ApiError> {
        let stored = self.authorizer(&input.authorizer_name, now).await?;
        let name = &stored.value.name;
        let default = self.records.get(&DEFAULT_AUTHORIZER, &default_authorizer_key(), now).await?;
        stored.value.check_delete(default.as_ref().is_some_and(|default| default.value.name == *name))?;
        // Nobody makes it the default meanwhile.
        let unchanged = default.map_or(Condition::Absent, |default| Condition::Revision(default.revision));
        DEFAULT_AUTHORIZER.check(batch, &default_authorizer_key(), unchanged);
        AUTHORIZERS.delete_if(batch, &stored.key, stored.revision);
        List::Authorizers.remove(batch, stored.value.created, name);
        forget_tags(&self.records, &self.authorizer_arn(name), now, batch).await?;
        Ok(DeleteAuthorizerResponse {})
    }

    /// `ListAuthorizers`: newest first unless ascending order is asked for. A page filtered by status may hold fewer
    /// than asked for.
    ///
    /// # Errors
    /// InvalidRequest for a bad marker.
    pub async fn list_authorizers(
        &self,
        input: ListAuthorizersRequest,
        now: Timestamp,
    ) -> Result<ListAuthorizersResponse, ApiError> {
        let prefix = List::Authorizers.prefix(input.ascending_order.unwrap_or(false));
        let page = Page::marker(&prefix, input.marker.as_deref(), input.page_size)?;
        let mut rows =
            self.records.scan(&ORDER, &prefix, page.after.as_ref(), (page.scan_limit(), now)).await?;
        let next_marker = page.cut(&mut rows, |row| row.key.clone());
        let wanted = input.status.map(status_in);
        let mut authorizers = Vec::with_capacity(rows.len());
        for name in rows.iter().filter_map(|row| order::member(&row.key)) {
            let Some(stored) = self.records.get(&AUTHORIZERS, &authorizer_key(&name), now).await? else {
                continue;
            };
            if wanted.is_none_or(|wanted| wanted == stored.value.status) {
                let authorizer_arn = Some(self.authorizer_arn(&name));
                authorizers.push(AuthorizerSummary { authorizer_arn, authorizer_name: Some(name) });
            }
        }
        Ok(ListAuthorizersResponse { authorizers: Some(authorizers), next_marker })
    }

    /// `SetDefaultAuthorizer`. Naming the default again changes nothing.
    ///
    /// # Errors
    /// ResourceNotFound; ResourceAlreadyExists while another one is the default.
    pub async fn set_default_authorizer(
        &self,
        input: SetDefaultAuthorizerRequest,
        now: Timestamp,
    ) -> Result<SetDefaultAuthorizerResponse, ApiError> {
        until_committed!(self.records, now, |batch| self.plan_set_default(
            &input.authorizer_name,
            now,
            &mut batch
        ))
    }

    async fn plan_set_default(
        &self,
        name: &str,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<SetDefaultAuthorizerResponse, ApiError> {
        let authorizer = self.authorizer(name, now).await?;
        let key = default_authorizer_key();
        match self.records.get(&DEFAULT_AUTHORIZER, &key, now).await? {
            Some(default) if default.value.name != name => {
                let other = &default.value.name;
                let message =
                    format!("Authorizer {other} is the default authorizer: clear the default first");
                return Err(ApiError::exists(message, other, self.authorizer_arn(other)));
            }
            Some(_) => {}
            None => {
                AUTHORIZERS.check(batch, &authorizer.key, Condition::Exists);
                let record = DefaultAuthorizerRecord { name: name.to_owned() };
                DEFAULT_AUTHORIZER.put_if_absent(batch, &key, &record);
            }
        }
        let authorizer_arn = Some(self.authorizer_arn(name));
        Ok(SetDefaultAuthorizerResponse { authorizer_arn, authorizer_name: Some(name.to_owned()) })
    }

    /// `ClearDefaultAuthorizer`.
    ///
    /// # Errors
    /// ResourceNotFound when there is no default.
    pub async fn clear_default_authorizer(
        &self,
        _input: ClearDefaultAuthorizerRequest,
        now: Timestamp,
    ) -> Result<ClearDefaultAuthorizerResponse, ApiError> {
        until_committed!(self.records, now, |batch| async {
            let default = self.default_authorizer(now).await?.ok_or_else(no_default)?;
            DEFAULT_AUTHORIZER.delete_if(&mut batch, &default.key, default.revision);
            Ok::<_, ApiError>(ClearDefaultAuthorizerResponse {})
        })
    }

    /// `DescribeDefaultAuthorizer`.
    ///
    /// # Errors
    /// ResourceNotFound when there is no default.
    pub async fn describe_default_authorizer(
        &self,
        _input: DescribeDefaultAuthorizerRequest,
        now: Timestamp,
    ) -> Result<DescribeDefaultAuthorizerResponse, ApiError> {
        let default = self.default_authorizer(now).await?.ok_or_else(no_default)?;
        let record = self.authorizer(&default.value.name, now).await?.value;
        let authorizer_description = Some(self.authorizer_description(record));
        Ok(DescribeDefaultAuthorizerResponse { authorizer_description })
    }

    /// The account's default.
    pub(crate) async fn default_authorizer(
        &self,
        now: Timestamp,
    ) -> Result<Option<Stored<DefaultAuthorizerRecord>>, ApiError> {
        self.records.get(&DEFAULT_AUTHORIZER, &default_authorizer_key(), now).await
    }

    /// The authorizer with this name.
    pub(crate) async fn authorizer(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Stored<AuthorizerRecord>, ApiError> {
        let found = self.records.get(&AUTHORIZERS, &authorizer_key(name), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("Authorizer {name} not found")))
    }

    /// All of them: there are few.
    async fn authorizers(&self, now: Timestamp) -> Result<Vec<Stored<AuthorizerRecord>>, ApiError> {
        self.records.scan(&AUTHORIZERS, &Key::EMPTY, None, (limits::AUTHORIZERS + 1, now)).await
    }

    fn authorizer_description(&self, record: AuthorizerRecord) -> AuthorizerDescription {
        AuthorizerDescription {
            authorizer_arn: Some(self.authorizer_arn(&record.name)),
            authorizer_function_arn: Some(record.function_arn),
            authorizer_name: Some(record.name),
            creation_date: Some(record.created.into()),
            enable_caching_for_http: Some(record.caching_for_http),
            last_modified_date: Some(record.modified.into()),
            signing_disabled: Some(record.signing_disabled),
            status: Some(status_out(record.status)),
            token_key_name: record.token_key_name,
            token_signing_public_keys: Some(record.public_keys).filter(|keys| !keys.is_empty()),
        }
    }
}

fn created(input: &CreateAuthorizerRequest, now: Timestamp) -> AuthorizerRecord {
    AuthorizerRecord {
        name: input.authorizer_name.clone(),
        function_arn: input.authorizer_function_arn.clone(),
        token_key_name: input.token_key_name.clone(),
        public_keys: input.token_signing_public_keys.clone().unwrap_or_default(),
        status: input.status.map_or(Status::Inactive, status_in),
        signing_disabled: input.signing_disabled.unwrap_or(false),
        caching_for_http: input.enable_caching_for_http.unwrap_or(false),
        created: now,
        modified: now,
    }
}

fn change(record: &mut AuthorizerRecord, input: &UpdateAuthorizerRequest) {
    if let Some(arn) = &input.authorizer_function_arn {
        record.function_arn.clone_from(arn);
    }
    if let Some(name) = &input.token_key_name {
        record.token_key_name = Some(name.clone());
    }
    if let Some(keys) = &input.token_signing_public_keys {
        record.public_keys.clone_from(keys);
    }
    if let Some(status) = input.status {
        record.status = status_in(status);
    }
    if let Some(caching) = input.enable_caching_for_http {
        record.caching_for_http = caching;
    }
}

fn check(record: &AuthorizerRecord) -> Result<(), ApiError> {
    record.check()?;
    for (name, pem) in &record.public_keys {
        RsaPublicKey::from_pem(pem)
            .map_err(|fault| ApiError::invalid(format!("The public key {name} is not valid: {fault}")))?;
    }
    Ok(())
}

/// How many others are ACTIVE.
fn active(present: &[Stored<AuthorizerRecord>], name: &str) -> usize {
    let others = present.iter().filter(|other| other.value.name != name);
    others.filter(|other| other.value.status == Status::Active).count()
}

fn no_default() -> ApiError {
    ApiError::not_found("The account has no default authorizer")
}

fn status_in(status: AuthorizerStatus) -> Status {
    match status {
        AuthorizerStatus::Active => Status::Active,
        AuthorizerStatus::Inactive => Status::Inactive,
    }
}

fn status_out(status: Status) -> AuthorizerStatus {
    match status {
        Status::Active => AuthorizerStatus::Active,
        Status::Inactive => AuthorizerStatus::Inactive,
    }
}

#[cfg(test)]
mod tests;
