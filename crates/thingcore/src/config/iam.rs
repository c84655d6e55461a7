//! `[[iam.user]]` and `[[iam.role]]`: who may sign beside the account's owner.

use std::fmt;
use std::path::PathBuf;

use access::iam::{ConfiguredRole, ConfiguredUser, IamConfiguration};
use serde::Deserialize;
use services::shapes::Secret;

use super::file::ConfigProblem;

/// `[iam]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IamSection {
    /// `[[iam.user]]`
    pub user: Vec<UserSection>,
    /// `[[iam.role]]`
    pub role: Vec<RoleSection>,
}

/// `[[iam.user]]`: an IAM user with an access key and a policy.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSection {
    /// Its name.
    pub name: String,
    /// AWS_ACCESS_KEY_ID.
    pub access_key_id: Option<String>,
    /// AWS_SECRET_ACCESS_KEY.
    pub secret_access_key: Option<String>,
    /// The policy document.
    pub policy: Option<String>,
    /// A file with the policy document; relative to the working directory.
    pub policy_file: Option<PathBuf>,
}

impl fmt::Debug for UserSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSection")
            .field("name", &self.name)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// `[[iam.role]]`: an IAM role with a policy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSection {
    /// Its name.
    pub name: String,
    /// The policy document.
    pub policy: Option<String>,
    /// A file with the policy document; relative to the working directory.
    pub policy_file: Option<PathBuf>,
    /// Who may assume it: a trust policy document.
    pub trust: Option<String>,
}

impl IamSection {
    /// With the files read. What the documents say is checked at the start of the server.
    pub(super) fn read(self) -> Result<IamConfiguration, ConfigProblem> {
        Ok(IamConfiguration {
            users: self.user.into_iter().map(user).collect::<Result<_, _>>()?,
            roles: self.role.into_iter().map(role).collect::<Result<_, _>>()?,
        })
    }
}

fn user(section: UserSection) -> Result<ConfiguredUser, ConfigProblem> {
    let place = format!("[[iam.user]] {:?}", section.name);
    let access_key = match (section.access_key_id, section.secret_access_key) {
        (Some(id), Some(secret)) if !id.trim().is_empty() && !secret.trim().is_empty() => {
            Some((id, Secret(secret)))
        }
        (None, None) => None,
        _ => {
            return Err(ConfigProblem(format!(
                "{place}: access_key_id and secret_access_key belong together, and neither may be empty"
            )));
        }
    };
    let policy = document(&place, section.policy, section.policy_file)?;
    Ok(ConfiguredUser { name: section.name, access_key, policy })
}

fn role(section: RoleSection) -> Result<ConfiguredRole, ConfigProblem> {
    let place = format!("[[iam.role]] {:?}", section.name);
    let policy = document(&place, section.policy, section.policy_file)?;
    Ok(ConfiguredRole { name: section.name, policy, trust: section.trust })
}

fn document(
    place: &str,
    text: Option<String>,
    file: Option<PathBuf>,
) -> Result<Option<String>, ConfigProblem> {
    match (text, file) {
        (Some(_), Some(_)) => Err(ConfigProblem(format!("{place}: give policy or policy_file, not both"))),
        (text, None) => Ok(text),
        (None, Some(file)) => std::fs::read_to_string(&file).map(Some).map_err(|error| {
            ConfigProblem(format!("{place}: policy_file {} cannot be read: {error}", file.display()))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<IamConfiguration, ConfigProblem> {
        toml::from_str::<IamSection>(text).unwrap().read()
    }

    #[test]
    fn users_have_both_halves_of_a_key_or_none() {
        assert!(read("[[user]]\nname = \"a\"").unwrap().users[0].access_key.is_none());
        let both = "[[user]]\nname = \"a\"\naccess_key_id = \"k\"\nsecret_access_key = \"hush\"";
        let found = read(both).unwrap();
        assert!(found.users[0].access_key.is_some() && !format!("{found:?}").contains("hush"));
        for half in [
            "access_key_id = \"k\"",
            "secret_access_key = \"s\"",
            "access_key_id = \"k\"\nsecret_access_key = \"\"",
        ] {
            let problem = read(&format!("[[user]]\nname = \"a\"\n{half}")).unwrap_err().to_string();
            assert!(problem.contains("\"a\"") && problem.contains("belong together"), "{problem}");
        }
    }

    #[test]
    fn a_policy_stands_in_the_file_or_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.json");
        std::fs::write(&path, "{}").unwrap();
        let role = |rest: &str| read(&format!("[[role]]\nname = \"r\"\n{rest}"));
        let beside = format!("policy_file = {:?}", path.to_str().unwrap());
        assert_eq!(role(&beside).unwrap().roles[0].policy.as_deref(), Some("{}"));
        assert!(role(&format!("policy = \"x\"\n{beside}")).unwrap_err().to_string().contains("not both"));
        assert!(role("policy_file = \"/nothing/here\"").unwrap_err().to_string().contains("cannot be read"));
    }
}
