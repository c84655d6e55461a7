//! Provisioning templates and their versions.
//!
//! Source: API reference, *CreateProvisioningTemplate* and its neighbours; developer guide, *Provisioning templates*.

use identity::Timestamp;
use provisioning::{Kind, Template};
use registry::guard::Guarded;
use registry::limits;
use registry::provisioning_templates::{
    PROVISIONING_TEMPLATES, ProvisioningHookRecord, ProvisioningTemplateRecord, TemplateType,
    TemplateVersionRecord, check_template_room, provisioning_template_key,
};
use store::{Batch, Key, Stored};

use crate::commit::until_committed;
use crate::page::{self, Page};
use crate::shapes::{
    self, CreateProvisioningTemplateRequest, CreateProvisioningTemplateResponse,
    CreateProvisioningTemplateVersionRequest, CreateProvisioningTemplateVersionResponse,
    DeleteProvisioningTemplateRequest, DeleteProvisioningTemplateResponse,
    DeleteProvisioningTemplateVersionRequest, DeleteProvisioningTemplateVersionResponse,
    DescribeProvisioningTemplateRequest, DescribeProvisioningTemplateResponse,
    DescribeProvisioningTemplateVersionRequest, DescribeProvisioningTemplateVersionResponse,
    ListProvisioningTemplateVersionsRequest, ListProvisioningTemplateVersionsResponse,
    ListProvisioningTemplatesRequest, ListProvisioningTemplatesResponse, ProvisioningHook,
    ProvisioningTemplateSummary, ProvisioningTemplateVersionSummary, UpdateProvisioningTemplateRequest,
    UpdateProvisioningTemplateResponse,
};
use crate::tags::{forget_tags, tags_at_creation};
use crate::{ApiError, Services};

impl Services {
    /// `CreateProvisioningTemplate`. The type is FLEET_PROVISIONING unless JITP is asked for; a template is disabled
    /// unless it is enabled.
    ///
    /// # Errors
    /// InvalidRequest for a body that is no template of its type, with the place; LimitExceeded beyond 256 templates;
    /// ResourceAlreadyExists.
    pub async fn create_provisioning_template(
        &self,
        input: CreateProvisioningTemplateRequest,
        now: Timestamp,
    ) -> Result<CreateProvisioningTemplateResponse, ApiError> {
        let kind = input.r#type.map_or(TemplateType::FleetProvisioning, type_in);
        check_body(&input.template_body, kind)?;
        check_role("provisioningRoleArn", &input.provisioning_role_arn)?;
        check_hook(kind, input.pre_provisioning_hook.as_ref())?;
        until_committed!(self.records, now, |batch| self.plan_create_template(kind, &input, now, &mut batch))
    }

    async fn plan_create_template(
        &self,
        kind: TemplateType,
        input: &CreateProvisioningTemplateRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<CreateProvisioningTemplateResponse, ApiError> {
        let name = &input.template_name;
        let arn = self.provisioning_template_arn(name);
        let key = provisioning_template_key(name);
        if self.records.get(&PROVISIONING_TEMPLATES, &key, now).await?.is_some() {
            return Err(ApiError::exists(format!("Provisioning template {name} already exists"), name, arn));
        }
        let guard = self.records.watch(Guarded::ProvisioningTemplates, "", now).await?;
        let limit = (limits::PROVISIONING_TEMPLATES + 1, now);
        check_template_room(
            self.records.scan(&PROVISIONING_TEMPLATES, &Key::EMPTY, None, limit).await?.len(),
        )?;
        PROVISIONING_TEMPLATES.put_if_absent(batch, &key, &new_record(kind, input, now));
        guard.added(batch);
        tags_at_creation(batch, &arn, input.tags.as_ref())?;
        Ok(CreateProvisioningTemplateResponse {
            default_version_id: Some(1),
            template_arn: Some(arn),
            template_name: Some(name.clone()),
        })
    }

    /// `DescribeProvisioningTemplate`, with the body in force.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_provisioning_template(
        &self,
        input: DescribeProvisioningTemplateRequest,
        now: Timestamp,
    ) -> Result<DescribeProvisioningTemplateResponse, ApiError> {
        let record = self.provisioning_template(&input.template_name, now).await?.value;
        Ok(DescribeProvisioningTemplateResponse {
            creation_date: Some(record.created.into()),
            default_version_id: Some(id_out(record.default_version)),
            enabled: Some(record.enabled),
            last_modified_date: Some(record.modified.into()),
            pre_provisioning_hook: record.hook.clone().map(hook_out),
            provisioning_role_arn: Some(record.role_arn.clone()),
            template_arn: Some(self.provisioning_template_arn(&record.name)),
            template_body: Some(record.body()?.to_owned()),
            template_name: Some(record.name.clone()),
            r#type: Some(type_out(record.kind)),
            description: record.description,
        })
    }

    /// `UpdateProvisioningTemplate`.
    ///
    /// # Errors
    /// ResourceNotFound for the template or the version; InvalidRequest.
    pub async fn update_provisioning_template(
        &self,
        input: UpdateProvisioningTemplateRequest,
        now: Timestamp,
    ) -> Result<UpdateProvisioningTemplateResponse, ApiError> {
        if let Some(role) = &input.provisioning_role_arn {
            check_role("provisioningRoleArn", role)?;
        }
        let removes = input.remove_pre_provisioning_hook.unwrap_or(false);
        if removes && input.pre_provisioning_hook.is_some() {
            return Err(ApiError::invalid(
                "preProvisioningHook and removePreProvisioningHook exclude each other",
            ));
        }
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.provisioning_template(&input.template_name, now).await?;
            let before = stored.value.clone();
            change_template(&mut stored.value, &input)?;
            if stored.value != before {
                rewrite(stored, now, &mut batch);
            }
            Ok::<_, ApiError>(UpdateProvisioningTemplateResponse {})
        })
    }

    /// `DeleteProvisioningTemplate`, with all versions. CAs that name it stay; their devices are no longer provisioned.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn delete_provisioning_template(
        &self,
        input: DeleteProvisioningTemplateRequest,
        now: Timestamp,
    ) -> Result<DeleteProvisioningTemplateResponse, ApiError> {
        until_committed!(self.records, now, |batch| async {
            let stored = self.provisioning_template(&input.template_name, now).await?;
            PROVISIONING_TEMPLATES.delete_if(&mut batch, &stored.key, stored.revision);
            let arn = self.provisioning_template_arn(&stored.value.name);
            forget_tags(&self.records, &arn, now, &mut batch).await?;
            Ok::<_, ApiError>(DeleteProvisioningTemplateResponse {})
        })
    }

    /// `ListProvisioningTemplates`, by name.
    ///
    /// # Errors
    /// InvalidRequest for a bad token.
    pub async fn list_provisioning_templates(
        &self,
        input: ListProvisioningTemplatesRequest,
        now: Timestamp,
    ) -> Result<ListProvisioningTemplatesResponse, ApiError> {
        let page = Page::token(&Key::EMPTY, input.next_token.as_deref(), input.max_results)?;
        let limit = (page.scan_limit(), now);
        let mut rows =
            self.records.scan(&PROVISIONING_TEMPLATES, &Key::EMPTY, page.after.as_ref(), limit).await?;
        let next_token = page.cut(&mut rows, |row| row.key.clone());
        let templates = rows.into_iter().map(|row| self.template_row(row.value)).collect();
        Ok(ListProvisioningTemplatesResponse { next_token, templates: Some(templates) })
    }

    fn template_row(&self, record: ProvisioningTemplateRecord) -> ProvisioningTemplateSummary {
        ProvisioningTemplateSummary {
            creation_date: Some(record.created.into()),
            description: record.description,
            enabled: Some(record.enabled),
            last_modified_date: Some(record.modified.into()),
            template_arn: Some(self.provisioning_template_arn(&record.name)),
            template_name: Some(record.name),
            r#type: Some(type_out(record.kind)),
        }
    }

    /// `CreateProvisioningTemplateVersion`.
    ///
    /// # Errors
    /// InvalidRequest for a body that is no template of the type, ResourceNotFound, VersionsLimitExceeded beyond 5.
    pub async fn create_provisioning_template_version(
        &self,
        input: CreateProvisioningTemplateVersionRequest,
        now: Timestamp,
    ) -> Result<CreateProvisioningTemplateVersionResponse, ApiError> {
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.provisioning_template(&input.template_name, now).await?;
            check_body(&input.template_body, stored.value.kind)?;
            let is_default = input.set_as_default.unwrap_or(false);
            let id = stored.value.add_version(input.template_body.clone(), is_default, now)?;
            rewrite(stored, now, &mut batch);
            Ok::<_, ApiError>(CreateProvisioningTemplateVersionResponse {
                is_default_version: Some(is_default),
                template_arn: Some(self.provisioning_template_arn(&input.template_name)),
                template_name: Some(input.template_name.clone()),
                version_id: Some(id_out(id)),
            })
        })
    }

    /// `DescribeProvisioningTemplateVersion`.
    ///
    /// # Errors
    /// ResourceNotFound for the template or the version.
    pub async fn describe_provisioning_template_version(
        &self,
        input: DescribeProvisioningTemplateVersionRequest,
        now: Timestamp,
    ) -> Result<DescribeProvisioningTemplateVersionResponse, ApiError> {
        let record = self.provisioning_template(&input.template_name, now).await?.value;
        let version = record.version(id_in(input.version_id))?;
        Ok(DescribeProvisioningTemplateVersionResponse {
            creation_date: Some(version.created.into()),
            is_default_version: Some(version.id == record.default_version),
            template_body: Some(version.body.clone()),
            version_id: Some(id_out(version.id)),
        })
    }

    /// `DeleteProvisioningTemplateVersion`.
    ///
    /// # Errors
    /// ResourceNotFound for the template or the version; DeleteConflict for the default version.
    pub async fn delete_provisioning_template_version(
        &self,
        input: DeleteProvisioningTemplateVersionRequest,
        now: Timestamp,
    ) -> Result<DeleteProvisioningTemplateVersionResponse, ApiError> {
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.provisioning_template(&input.template_name, now).await?;
            stored.value.delete_version(id_in(input.version_id), now)?;
            rewrite(stored, now, &mut batch);
            Ok::<_, ApiError>(DeleteProvisioningTemplateVersionResponse {})
        })
    }

    /// `ListProvisioningTemplateVersions`, latest first.
    ///
    /// # Errors
    /// ResourceNotFound; InvalidRequest for a bad token.
    pub async fn list_provisioning_template_versions(
        &self,
        input: ListProvisioningTemplateVersionsRequest,
        now: Timestamp,
    ) -> Result<ListProvisioningTemplateVersionsResponse, ApiError> {
        let record = self.provisioning_template(&input.template_name, now).await?.value;
        let versions = record.versions.iter().rev().map(|version| ProvisioningTemplateVersionSummary {
            creation_date: Some(version.created.into()),
            is_default_version: Some(version.id == record.default_version),
            version_id: Some(id_out(version.id)),
        });
        let size = page::size(input.max_results, limits::PAGE_TOKEN)?;
        let (versions, next_token) = page::of_whole(versions.collect(), input.next_token.as_deref(), size)?;
        Ok(ListProvisioningTemplateVersionsResponse { next_token, versions: Some(versions) })
    }

    /// The template with this name.
    pub(crate) async fn provisioning_template(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Stored<ProvisioningTemplateRecord>, ApiError> {
        let found = self.records.get(&PROVISIONING_TEMPLATES, &provisioning_template_key(name), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("Provisioning template {name} does not exist")))
    }
}

fn new_record(
    kind: TemplateType,
    input: &CreateProvisioningTemplateRequest,
    now: Timestamp,
) -> ProvisioningTemplateRecord {
    ProvisioningTemplateRecord {
        name: input.template_name.clone(),
        kind,
        description: input.description.clone(),
        enabled: input.enabled.unwrap_or(false),
        role_arn: input.provisioning_role_arn.clone(),
        hook: input.pre_provisioning_hook.clone().map(hook_in),
        default_version: 1,
        versions: vec![TemplateVersionRecord { id: 1, body: input.template_body.clone(), created: now }],
        last_version: 1,
        created: now,
        modified: now,
    }
}

fn change_template(
    record: &mut ProvisioningTemplateRecord,
    input: &UpdateProvisioningTemplateRequest,
) -> Result<(), ApiError> {
    check_hook(record.kind, input.pre_provisioning_hook.as_ref())?;
    if let Some(id) = input.default_version_id {
        record.default_version = record.version(id_in(id))?.id;
    }
    if let Some(description) = &input.description {
        record.description = Some(description.clone());
    }
    if let Some(role) = &input.provisioning_role_arn {
        record.role_arn = role.clone();
    }
    if let Some(hook) = &input.pre_provisioning_hook {
        record.hook = Some(hook_in(hook.clone()));
    }
    if input.remove_pre_provisioning_hook == Some(true) {
        record.hook = None;
    }
    record.enabled = input.enabled.unwrap_or(record.enabled);
    Ok(())
}

fn rewrite(mut stored: Stored<ProvisioningTemplateRecord>, now: Timestamp, batch: &mut Batch) {
    stored.value.modified = now;
    PROVISIONING_TEMPLATES.put_if(batch, &stored.key, stored.revision, &stored.value);
}

/// Whether a body is a template of this type.
pub(crate) fn check_body(body: &str, kind: TemplateType) -> Result<Template, ApiError> {
    let kind = match kind {
        TemplateType::FleetProvisioning => Kind::FleetProvisioning,
        TemplateType::Jitp => Kind::JustInTime,
    };
    Template::parse(body, kind)
        .map_err(|fault| ApiError::invalid(format!("The provisioning template is not valid: {fault}")))
}

/// A role's ARN by its form; nobody here takes the role on.
pub(crate) fn check_role(what: &str, arn: &str) -> Result<(), ApiError> {
    if arn.starts_with("arn:") && arn.contains(":iam::") && arn.contains(":role/") {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "The {what} {arn} is not the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME"
    )))
}

fn check_hook(kind: TemplateType, hook: Option<&ProvisioningHook>) -> Result<(), ApiError> {
    let Some(hook) = hook else { return Ok(()) };
    if kind != TemplateType::FleetProvisioning {
        return Err(ApiError::invalid("A template of type JITP takes no preProvisioningHook"));
    }
    if !hook.target_arn.starts_with("arn:") {
        return Err(ApiError::invalid(format!(
            "The targetArn {} of the preProvisioningHook is no ARN",
            hook.target_arn
        )));
    }
    Ok(())
}

fn hook_in(hook: ProvisioningHook) -> ProvisioningHookRecord {
    ProvisioningHookRecord { payload_version: hook.payload_version, target_arn: hook.target_arn }
}

fn hook_out(hook: ProvisioningHookRecord) -> ProvisioningHook {
    ProvisioningHook { payload_version: hook.payload_version, target_arn: hook.target_arn }
}

fn type_in(kind: shapes::TemplateType) -> TemplateType {
    match kind {
        shapes::TemplateType::FleetProvisioning => TemplateType::FleetProvisioning,
        shapes::TemplateType::Jitp => TemplateType::Jitp,
    }
}

fn type_out(kind: TemplateType) -> shapes::TemplateType {
    match kind {
        TemplateType::FleetProvisioning => shapes::TemplateType::FleetProvisioning,
        TemplateType::Jitp => shapes::TemplateType::Jitp,
    }
}

/// No version has the id 0.
fn id_in(id: i32) -> u32 {
    u32::try_from(id).unwrap_or(0)
}

fn id_out(id: u32) -> i32 {
    i32::try_from(id).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
