//! Whether a folder is all there. A file that is missing is made anew at a first start; later that would be another
//! broker under the old name: other ARNs, a CA that no device trusts, a store without a thing in it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    BILL_FILE, DataDirProblem, STORE_FILE, account, api_key, certificates, read_optional, session_key, write,
};

/// Stands in a folder once everything was made.
pub const COMPLETE_FILE: &str = "folder.json";

/// The number of the folder's layout.
const LAYOUT: u64 = 1;

/// What cannot be made anew.
const NEEDED: [&str; 5] =
    [account::FILE, api_key::FILE, certificates::CA_CERTIFICATE, certificates::CA_KEY, STORE_FILE];

#[derive(Serialize, Deserialize)]
struct Mark {
    layout: u64,
}

/// Refuses a folder that was complete and is not any more, or has another layout.
pub(super) fn refuse_incomplete(folder: &Path) -> Result<(), DataDirProblem> {
    let path = folder.join(COMPLETE_FILE);
    let missing = |name: &&str| !folder.join(name).exists();
    let Some(text) = read_optional(&path)? else {
        // Made by a start that did not come to its end, or by a version without the mark. The account comes first.
        return match folder.join(STORE_FILE).exists() && missing(&account::FILE) {
            true => Err(gone(folder, account::FILE)),
            false => Ok(()),
        };
    };
    let mark: Mark = serde_json::from_str(&text).map_err(|error| DataDirProblem::damaged(&path, error))?;
    if mark.layout != LAYOUT {
        return Err(DataDirProblem(format!(
            "{}: this folder has layout {} and this version reads layout {LAYOUT}: use the version that wrote it",
            folder.display(),
            mark.layout
        )));
    }
    NEEDED.iter().find(|name| missing(name)).map_or(Ok(()), |name| Err(gone(folder, name)))
}

fn gone(folder: &Path, name: &str) -> DataDirProblem {
    DataDirProblem::damaged(&folder.join(name), "it was there and is missing")
}

/// Notes that everything is there.
pub(super) fn mark(folder: &Path) -> Result<(), DataDirProblem> {
    let path = folder.join(COMPLETE_FILE);
    if path.exists() {
        return Ok(());
    }
    let text = serde_json::to_string(&Mark { layout: LAYOUT });
    write(&path, &text.map_err(|error| DataDirProblem::damaged(&path, error))?)
}

/// What is wrong with the files of a folder that no server has; nothing is made or changed.
pub fn problems_of(folder: &Path) -> Vec<String> {
    let there = |name: &str| folder.join(name).exists();
    let unmarked = !there(COMPLETE_FILE);
    let missing = NEEDED.iter().filter(|name| unmarked && **name != STORE_FILE && !there(name));
    let mut problems: Vec<String> = missing.map(|name| gone(folder, name).to_string()).collect();
    let mut tell =
        |looked: Result<(), DataDirProblem>| problems.extend(looked.err().map(|error| error.to_string()));
    tell(refuse_incomplete(folder));
    tell(account::read(folder).map(drop));
    tell(api_key::read(folder).map(drop));
    tell(session_key::read(folder).map(drop));
    tell(certificates::read_authority(folder).map(drop));
    tell(certificates::read_server(folder).map(drop));
    // The bill is judged by whoever can read it; here it only must be a file.
    if folder.join(BILL_FILE).is_dir() {
        problems.push(format!("{}: it is a folder", folder.join(BILL_FILE).display()));
    }
    problems
}
