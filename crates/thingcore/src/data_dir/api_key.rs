//! The access key pair made at the first start.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DataDirProblem, read_optional, write};
use crate::config::AccessKey;
use crate::entropy;

pub(super) const FILE: &str = "access-key.json";

#[derive(Serialize, Deserialize)]
struct Stored {
    access_key_id: String,
    secret_access_key: String,
}

pub(super) fn open(folder: &Path) -> Result<AccessKey, DataDirProblem> {
    match read(folder)? {
        Some(found) => Ok(found),
        None => make(&folder.join(FILE)).map(Stored::key),
    }
}

/// What is there.
pub(super) fn read(folder: &Path) -> Result<Option<AccessKey>, DataDirProblem> {
    let path = folder.join(FILE);
    let found = read_optional(&path)?.map(|text| serde_json::from_str::<Stored>(&text)).transpose();
    Ok(found.map_err(|error| DataDirProblem::damaged(&path, error))?.map(Stored::key))
}

impl Stored {
    fn key(self) -> AccessKey {
        let Self { access_key_id: id, secret_access_key: secret } = self;
        AccessKey { id, secret }
    }
}

/// In the shape of AWS's: `AKIA` and sixteen of base 32, forty of base 64.
fn make(path: &Path) -> Result<Stored, DataDirProblem> {
    let made = Stored {
        access_key_id: "AKIA".to_owned() + &entropy::text(16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        secret_access_key: entropy::text(
            40,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        ),
    };
    let text = serde_json::to_string_pretty(&made).map_err(|error| DataDirProblem::damaged(path, error))?;
    write(path, &text)?;
    Ok(made)
}
