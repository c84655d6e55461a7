//! Users and roles of the configuration file: written to the store at the start, taken out of it when they are gone from
//! the file. So everything that looks them up has one place to look.

use std::collections::BTreeSet;

use identity::Timestamp;
use registry::iam::{
    AccessKeyOwner, AccessKeyRecord, AccessKeyStatus, IAM_ACCESS_KEYS, IAM_ROLES, IAM_USERS, InlinePolicies,
    ROLE_POLICY_CHARACTERS, RoleRecord, USER_POLICY_CHARACTERS, UserRecord, access_key_key, role_key,
    user_key,
};
use services::ApiError;
use services::commit::until_committed;
use services::shapes::Secret;
use store::{Batch, Key, Stored};

use super::policies::check_policy;
use super::roles::check_trust;
use super::{check_name, invalid};
use crate::Access;

/// What the inline policy of the file is called.
const POLICY: &str = "configuration";
/// Users or roles that are read at the start.
const MOST: usize = 100_000;
/// Users, and roles, that the file may have: all changes are one batch.
const CONFIGURED: usize = 100;

/// `[[iam.user]]`.
#[derive(Clone, Debug)]
pub struct ConfiguredUser {
    /// Its name.
    pub name: String,
    /// Its access key, if it has one.
    pub access_key: Option<(String, Secret)>,
    /// Its policy, if it has one.
    pub policy: Option<String>,
}

/// `[[iam.role]]`.
#[derive(Clone, Debug)]
pub struct ConfiguredRole {
    /// Its name.
    pub name: String,
    /// Its policy, if it has one.
    pub policy: Option<String>,
    /// Who may assume it; without one, whoever has the account's leave, and Amazon Cognito.
    pub trust: Option<String>,
}

/// `[iam]`.
#[derive(Clone, Debug, Default)]
pub struct IamConfiguration {
    /// The users.
    pub users: Vec<ConfiguredUser>,
    /// The roles.
    pub roles: Vec<ConfiguredRole>,
}

/// A document in the store that would be refused today.
#[derive(Clone, Debug)]
pub struct OldDocument {
    /// Whose it is.
    pub owner: String,
    /// Which one, why it would be refused, and what to do.
    pub detail: String,
}

impl OldDocument {
    fn new(owner: &str, which: &str, error: &ApiError) -> Self {
        let detail = format!(
            "its {which} counts as it was stored, and would be refused today: write it anew. {}",
            error.message
        );
        Self { owner: owner.to_owned(), detail }
    }
}

fn old_policies(owner: &str, policies: &InlinePolicies, longest: usize, found: &mut Vec<OldDocument>) {
    for (name, text) in policies {
        if let Err(error) = check_policy(name, text, longest) {
            found.push(OldDocument::new(owner, &format!("policy {name:?}"), &error));
        }
    }
}

impl Access {
    /// Makes the store say what the configuration file says. What is there already is left alone, so that ids stay.
    /// Answers the documents that somebody should look at.
    ///
    /// # Errors
    /// A name or a document is not valid, a name or an access key is taken: by something that the API made, or by the
    /// account's owner.
    pub async fn configure_iam(
        &self,
        wanted: &IamConfiguration,
        now: Timestamp,
    ) -> Result<Vec<OldDocument>, ApiError> {
        check(wanted)?;
        self.check_owner_keys(wanted, now).await?;
        let done: Result<(), ApiError> = until_committed!(self.records, now, |batch| async {
            self.plan_users(wanted, now, &mut batch).await?;
            self.plan_roles(wanted, now, &mut batch).await
        });
        done?;
        self.old_documents(now).await
    }

    /// Documents in the store that would be refused today: an earlier version took them. They go on to count.
    async fn old_documents(&self, now: Timestamp) -> Result<Vec<OldDocument>, ApiError> {
        let mut found = Vec::new();
        for row in self.records.scan(&IAM_USERS, &Key::EMPTY, None, (MOST, now)).await? {
            let owner = format!("IAM user {:?}", row.value.name);
            old_policies(&owner, &row.value.policies, USER_POLICY_CHARACTERS, &mut found);
        }
        for row in self.records.scan(&IAM_ROLES, &Key::EMPTY, None, (MOST, now)).await? {
            let owner = format!("IAM role {:?}", row.value.name);
            if let Err(error) = check_trust(&row.value.trust) {
                found.push(OldDocument::new(&owner, "trust policy", &error));
            }
            old_policies(&owner, &row.value.policies, ROLE_POLICY_CHARACTERS, &mut found);
        }
        Ok(found)
    }

    /// An access key has one holder. The owner's keys are looked at first, and would make the owner of a user.
    async fn check_owner_keys(&self, wanted: &IamConfiguration, now: Timestamp) -> Result<(), ApiError> {
        for user in &wanted.users {
            let keys = user.access_key.iter().map(|(id, _)| id);
            if let Some(id) = keys.into_iter().find(|id| self.owner_keys.secret(id).is_some()) {
                return Err(invalid(format!(
                    "[[iam.user]] {:?}: the access key {id:?} is one of the account's owner, to whom everything is allowed: \
                     choose another",
                    user.name
                )));
            }
        }
        for id in self.owner_keys.ids() {
            let held = self.records.get(&IAM_ACCESS_KEYS, &access_key_key(id), now).await?;
            let Some(name) = held.map(|held| held.value.user) else { continue };
            // What the file itself said before is taken out of the store now.
            let user = self.records.get(&IAM_USERS, &user_key(&name), now).await?;
            if user.is_some_and(|user| !user.value.from_configuration) {
                return Err(invalid(format!(
                    "[[access_key]] {id:?}: the key belongs to user {name:?}, whom the API made, and would make the \
                     account's owner of whoever has it: choose another"
                )));
            }
        }
        Ok(())
    }

    async fn plan_users(
        &self,
        wanted: &IamConfiguration,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let rows = self.records.scan(&IAM_USERS, &Key::EMPTY, None, (MOST, now)).await?;
        let mut changed = Vec::new();
        for user in &wanted.users {
            let was = rows.iter().map(|row| &row.value).find(|was| was.name == user.name);
            check_taken(was.is_some_and(|was| !was.from_configuration), "user", &user.name)?;
            let record = self.configured_user(user, was, now);
            if was != Some(&record) {
                changed.push(record);
            }
        }
        // Deletions first: of two writes to one key the last counts, and keys may change hands.
        for row in rows.iter().filter(|row| row.value.from_configuration) {
            let is_gone = wanted.users.iter().all(|user| user.name != row.value.name);
            if is_gone {
                IAM_USERS.delete_if(batch, &row.key, row.revision);
            }
            if is_gone || changed.iter().any(|user| user.name == row.value.name) {
                forget_keys(&row.value, batch);
            }
        }
        for user in &changed {
            self.plan_user(user, &rows, now, batch).await?;
        }
        Ok(())
    }

    fn configured_user(&self, user: &ConfiguredUser, was: Option<&UserRecord>, now: Timestamp) -> UserRecord {
        let key = user.access_key.iter().map(|(id, secret)| AccessKeyRecord {
            id: id.clone(),
            secret: secret.0.clone(),
            status: AccessKeyStatus::Active,
            created: was.and_then(|was| was.access_key(id)).map_or(now, |key| key.created),
        });
        UserRecord {
            name: user.name.clone(),
            id: was.map_or_else(|| self.iam_id("AIDA", 17), |was| was.id.clone()),
            created: was.map_or(now, |was| was.created),
            from_configuration: true,
            access_keys: key.collect(),
            policies: inline(user.policy.as_ref()),
        }
    }

    async fn plan_user(
        &self,
        user: &UserRecord,
        rows: &[Stored<UserRecord>],
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        for key in &user.access_keys {
            let place = access_key_key(&key.id);
            let owner = self.records.get(&IAM_ACCESS_KEYS, &place, now).await?.map(|owner| owner.value.user);
            let by_api = |owner: &&String| {
                rows.iter().any(|row| row.value.name == **owner && !row.value.from_configuration)
            };
            if let Some(owner) = owner.as_ref().filter(by_api) {
                return Err(invalid(format!(
                    "[[iam.user]] {:?}: the access key {:?} belongs to user {owner:?}, whom the API made: choose another",
                    user.name, key.id
                )));
            }
            IAM_ACCESS_KEYS.put(batch, &place, &AccessKeyOwner { user: user.name.clone() });
        }
        IAM_USERS.put(batch, &user_key(&user.name), user);
        Ok(())
    }

    async fn plan_roles(
        &self,
        wanted: &IamConfiguration,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let rows = self.records.scan(&IAM_ROLES, &Key::EMPTY, None, (MOST, now)).await?;
        let names: BTreeSet<&str> = wanted.roles.iter().map(|role| role.name.as_str()).collect();
        for row in rows.iter().filter(|row| row.value.from_configuration) {
            if !names.contains(row.value.name.as_str()) {
                IAM_ROLES.delete_if(batch, &row.key, row.revision);
            }
        }
        for role in &wanted.roles {
            let was = rows.iter().find(|row| row.value.name == role.name).map(|row| &row.value);
            check_taken(was.is_some_and(|was| !was.from_configuration), "role", &role.name)?;
            let record = RoleRecord {
                name: role.name.clone(),
                id: was.map_or_else(|| self.iam_id("AROA", 17), |was| was.id.clone()),
                created: was.map_or(now, |was| was.created),
                from_configuration: true,
                description: None,
                max_session_seconds: 43_200,
                trust: role.trust.clone().unwrap_or_else(|| self.default_trust()),
                policies: inline(role.policy.as_ref()),
            };
            if was != Some(&record) {
                IAM_ROLES.put(batch, &role_key(&record.name), &record);
            }
        }
        Ok(())
    }

    fn default_trust(&self) -> String {
        let root = self.iam_arn("root");
        format!(
            r#"{{"Version":"2012-10-17","Statement":[
{{"Effect":"Allow","Principal":{{"AWS":"{root}"}},"Action":"sts:AssumeRole"}},
{{"Effect":"Allow","Principal":{{"Federated":"cognito-identity.amazonaws.com"}},"Action":"sts:AssumeRoleWithWebIdentity"}},
{{"Effect":"Allow","Principal":{{"Service":["iot.amazonaws.com","credentials.iot.amazonaws.com"]}},"Action":"sts:AssumeRole"}}]}}"#
        )
    }
}

fn inline(policy: Option<&String>) -> InlinePolicies {
    policy.map(|text| (POLICY.to_owned(), text.clone())).into_iter().collect()
}

fn forget_keys(user: &UserRecord, batch: &mut Batch) {
    user.access_keys.iter().for_each(|key| IAM_ACCESS_KEYS.delete(batch, &access_key_key(&key.id)));
}

fn check_taken(taken: bool, kind: &str, name: &str) -> Result<(), ApiError> {
    if !taken {
        return Ok(());
    }
    Err(invalid(format!(
        "[[iam.{kind}]] {name:?}: there is a {kind} of this name that the API made: delete it, or choose another name"
    )))
}

fn check(wanted: &IamConfiguration) -> Result<(), ApiError> {
    let within = |kind: &str, name: &str, checked: Result<(), ApiError>| {
        checked.map_err(|error| invalid(format!("[[iam.{kind}]] {name:?}: {}", error.message)))
    };
    if wanted.users.len().max(wanted.roles.len()) > CONFIGURED {
        return Err(invalid(format!(
            "There are more than {CONFIGURED} [[iam.user]] or [[iam.role]]: make the others with the API"
        )));
    }
    let (mut users, mut roles, mut keys) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for user in &wanted.users {
        within("user", &user.name, check_name("name", &user.name, 64))?;
        if let Some(policy) = &user.policy {
            within("user", &user.name, check_policy(POLICY, policy, USER_POLICY_CHARACTERS))?;
        }
        if user.access_key.iter().any(|(id, _)| id.starts_with("ASIA")) {
            return Err(invalid(format!(
                "[[iam.user]] {:?}: ids that begin with ASIA are those of sessions: choose another access key",
                user.name
            )));
        }
        let twice = !users.insert(&user.name) || user.access_key.iter().any(|(id, _)| !keys.insert(id));
        if twice {
            return Err(invalid(format!(
                "[[iam.user]] {:?}: its name or its access key is there twice",
                user.name
            )));
        }
    }
    for role in &wanted.roles {
        within("role", &role.name, check_name("name", &role.name, 64))?;
        if let Some(policy) = &role.policy {
            within("role", &role.name, check_policy(POLICY, policy, ROLE_POLICY_CHARACTERS))?;
        }
        if let Some(trust) = &role.trust {
            within("role", &role.name, check_trust(trust))?;
        }
        if !roles.insert(&role.name) {
            return Err(invalid(format!("[[iam.role]] {:?}: the name is there twice", role.name)));
        }
    }
    Ok(())
}
