//! The registration code that a CA's owner signs to prove that the CA is theirs.

use identity::Timestamp;
use registry::account::{REGISTRATION_CODE, RegistrationCodeRecord, registration_code_key};
use store::Batch;

use crate::commit::until_committed;
use crate::shapes::{
    DeleteRegistrationCodeRequest, DeleteRegistrationCodeResponse, GetRegistrationCodeRequest,
    GetRegistrationCodeResponse,
};
use crate::{ApiError, Services, entropy};

impl Services {
    /// `GetRegistrationCode`: makes one at the first call and keeps it until it is deleted.
    ///
    /// # Errors
    /// The store's.
    pub async fn get_registration_code(
        &self,
        _input: GetRegistrationCodeRequest,
        now: Timestamp,
    ) -> Result<GetRegistrationCodeResponse, ApiError> {
        until_committed!(self.records, now, |batch| self.plan_registration_code(now, &mut batch))
    }

    async fn plan_registration_code(
        &self,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<GetRegistrationCodeResponse, ApiError> {
        let code = match self.registration_code(now).await? {
            Some(code) => code,
            None => {
                let code = entropy::code(&*self.entropy);
                let record = RegistrationCodeRecord { code: code.clone(), created: now };
                REGISTRATION_CODE.put_if_absent(batch, &registration_code_key(), &record);
                code
            }
        };
        Ok(GetRegistrationCodeResponse { registration_code: Some(code) })
    }

    /// The account's code, if one was made.
    pub(crate) async fn registration_code(&self, now: Timestamp) -> Result<Option<String>, ApiError> {
        let found = self.records.get(&REGISTRATION_CODE, &registration_code_key(), now).await?;
        Ok(found.map(|stored| stored.value.code))
    }

    /// `DeleteRegistrationCode`.
    ///
    /// # Errors
    /// ResourceNotFound when there is none.
    pub async fn delete_registration_code(
        &self,
        _input: DeleteRegistrationCodeRequest,
        now: Timestamp,
    ) -> Result<DeleteRegistrationCodeResponse, ApiError> {
        until_committed!(self.records, now, |batch| self.plan_forget_code(now, &mut batch))
    }

    async fn plan_forget_code(
        &self,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<DeleteRegistrationCodeResponse, ApiError> {
        let Some(stored) = self.records.get(&REGISTRATION_CODE, &registration_code_key(), now).await? else {
            return Err(ApiError::not_found("There is no registration code"));
        };
        REGISTRATION_CODE.delete_if(batch, &stored.key, stored.revision);
        Ok(DeleteRegistrationCodeResponse {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use crate::tests::{NOW, Scene};

    #[test]
    fn a_code_stays_until_it_is_deleted() {
        let scene = Scene::new();
        let get = || {
            let answer = scene.run(scene.services.get_registration_code(GetRegistrationCodeRequest {}, NOW));
            answer.unwrap().registration_code.unwrap()
        };
        let delete =
            || scene.run(scene.services.delete_registration_code(DeleteRegistrationCodeRequest {}, NOW));
        assert_eq!(delete().unwrap_err().code, ErrorCode::ResourceNotFound);
        let first = get();
        assert_eq!(first.len(), 64);
        assert_eq!(get(), first);
        delete().unwrap();
        assert_ne!(get(), first);
    }
}
