//! The access key pair made at the first start.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DataDirProblem, read_optional, write};
use crate::config::AccessKey;
use crate::entropy;

const FILE: &str = "access-key.json";

#[derive(Serialize, Deserialize)]
struct Stored {
    access_key_id: String,
    secret_access_key: String,
}

pub(super) fn open(folder: &Path) -> Result<AccessKey, DataDirProblem> {
    let path = folder.join(FILE);
    let stored = match read_optional(&path)? {
        Some(text) => serde_json::from_str(&text).map_err(|error| DataDirProblem::damaged(&path, error))?,
        None => make(&path)?,
    };
    let Stored { access_key_id: id, secret_access_key: secret } = stored;
    Ok(AccessKey { id, secret })
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
