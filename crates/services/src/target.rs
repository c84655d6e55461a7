//! Whether what a policy or a thing is attached to exists, and stays while the batch commits.

use identity::Timestamp;
use registry::CERTIFICATES;
use registry::attachments::Target;
use registry::certificates::certificate_key;
use registry::thing_groups::{THING_GROUPS, thing_group_key};
use store::{Batch, Condition};

use crate::thing_groups::keep_group;
use crate::{ApiError, Services};

impl Services {
    /// Reads a target as the API takes it, and demands that it exists.
    ///
    /// # Errors
    /// InvalidRequest for what is no target, ResourceNotFound for what does not exist.
    pub(crate) async fn require_target<'a>(
        &self,
        text: &'a str,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<Target<'a>, ApiError> {
        let target = Target::parse(&self.site, text)?;
        match target {
            Target::Certificate(id) => self.require_certificate(id, now, batch).await?,
            Target::ThingGroup(name) => {
                let key = thing_group_key(name);
                let Some(group) = self.records.get(&THING_GROUPS, &key, now).await? else {
                    return Err(ApiError::not_found(format!("Thing group {name} does not exist")));
                };
                keep_group(&group, batch)?;
            }
            Target::CognitoIdentity(_) => {}
        }
        Ok(target)
    }

    pub(crate) async fn require_certificate(
        &self,
        id: &str,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let key = certificate_key(id);
        if self.records.get(&CERTIFICATES, &key, now).await?.is_none() {
            return Err(ApiError::not_found(format!("Certificate {id} does not exist")));
        }
        CERTIFICATES.check(batch, &key, Condition::Exists);
        Ok(())
    }

    /// Demands that a text names something that can authenticate; whether it exists is another question.
    ///
    /// # Errors
    /// InvalidRequest.
    pub(crate) fn check_principal(&self, text: &str) -> Result<(), ApiError> {
        match Target::parse(&self.site, text) {
            Ok(Target::Certificate(_) | Target::CognitoIdentity(_)) => Ok(()),
            Ok(Target::ThingGroup(_)) | Err(_) => Err(ApiError::invalid(format!(
                "Invalid principal {text}: it must be the ARN of a certificate of account {} in {}, or a Cognito \
                 identity id",
                self.site.account, self.site.region
            ))),
        }
    }
}
