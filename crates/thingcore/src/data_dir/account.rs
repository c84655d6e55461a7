//! Whom the broker plays: chosen once, because every ARN in the store carries it.

use std::path::Path;

use identity::{AccountId, Region, Site};
use serde::{Deserialize, Serialize};

use super::{DataDirProblem, read_optional, write};
use crate::config::Settings;
use crate::entropy;

pub(super) const FILE: &str = "account.json";

const DEFAULT_REGION: &str = "us-east-1";

/// Account, Region and the prefix of AWS-style endpoint names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Twelve digits.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
    /// The first label of `PREFIX-ats.iot.REGION.amazonaws.com`.
    pub endpoint_prefix: String,
}

impl Account {
    pub(super) fn open(folder: &Path, settings: &Settings) -> Result<Self, DataDirProblem> {
        let path = folder.join(FILE);
        if let Some(found) = read(folder)? {
            found.agrees_with(settings, &path)?;
            return Ok(found);
        }
        let made = Self::make(settings)?;
        let text =
            serde_json::to_string_pretty(&made).map_err(|error| DataDirProblem::damaged(&path, error))?;
        write(&path, &text)?;
        Ok(made)
    }

    /// Where ARNs start.
    pub fn site(&self) -> Site {
        Site { region: self.region.clone(), account: self.account.clone() }
    }

    /// The host name that AWS would give to the account's data endpoint.
    pub fn aws_style_endpoint(&self) -> String {
        format!("{}-ats.iot.{}.amazonaws.com", self.endpoint_prefix, self.region)
    }

    fn make(settings: &Settings) -> Result<Self, DataDirProblem> {
        let invalid = |error: identity::InvalidName| DataDirProblem(error.to_string());
        let account = match &settings.account {
            Some(account) => account.clone(),
            // AWS's accounts do not start with 0 often; ours never do, so that nobody loses the digit in a spreadsheet.
            None => AccountId::new(&(entropy::text(1, b"123456789") + &entropy::text(11, b"0123456789")))
                .map_err(invalid)?,
        };
        let region = match &settings.region {
            Some(region) => region.clone(),
            None => Region::new(&region_of_the_environment()).map_err(invalid)?,
        };
        let endpoint_prefix = "a".to_owned() + &entropy::text(13, b"abcdefghijklmnopqrstuvwxyz0123456789");
        Ok(Self { account, region, endpoint_prefix })
    }

    fn agrees_with(&self, settings: &Settings, path: &Path) -> Result<(), DataDirProblem> {
        let other_account = settings.account.as_ref().filter(|chosen| **chosen != self.account);
        let other_region = settings.region.as_ref().filter(|chosen| **chosen != self.region);
        match (other_account, other_region) {
            (None, None) => Ok(()),
            _ => Err(DataDirProblem(format!(
                "{}: this data folder belongs to account {} in {}, and the configuration names another; its ARNs \
                 cannot change: use another --data-dir",
                path.display(),
                self.account,
                self.region
            ))),
        }
    }
}

/// What is there.
pub(super) fn read(folder: &Path) -> Result<Option<Account>, DataDirProblem> {
    let path = folder.join(FILE);
    let found = read_optional(&path)?.map(|text| serde_json::from_str(&text)).transpose();
    found.map_err(|error| DataDirProblem::damaged(&path, error))
}

fn region_of_the_environment() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).unwrap_or_else(|| DEFAULT_REGION.to_owned())
}
