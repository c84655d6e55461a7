//! Where the rows of a backup come from: a running server, over its API, or the file of one that does not run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

use commands::cli::ServerArgs;
use commands::device::{Call, Client, Server};
use ready::Lock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store_redb::{Copy, Part, Row};

use super::BackupProblem;
use crate::data_dir::STORE_FILE;

/// A row as the API has it: letter of its part, key and value in base 64.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireRow(pub char, pub String, pub String);

/// One page of the copy that a reader has open.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WirePage {
    /// Who reads.
    pub reader: String,
    /// None: that was all.
    pub rows: Vec<WireRow>,
}

impl WireRow {
    /// For the API.
    pub fn of(row: &Row) -> Self {
        Self(row.part.letter(), STANDARD.encode(&row.key), STANDARD.encode(&row.value))
    }

    /// Back.
    pub fn row(&self) -> Option<Row> {
        let Self(part, key, value) = self;
        let (key, value) = (STANDARD.decode(key).ok()?, STANDARD.decode(value).ok()?);
        Some(Row { part: Part::of(*part)?, key, value })
    }
}

/// A store to copy.
pub enum Source {
    /// It runs; the snapshot is held there.
    Running(Box<Server>),
    /// It does not, and is kept from starting.
    Idle {
        /// What is read.
        copy: Copy,
        /// Keeps servers out.
        _lock: Lock,
    },
}

impl Source {
    /// Finds out which it is.
    pub fn of(folder: &Path) -> Result<Self, BackupProblem> {
        if ready::is_held(folder) {
            let args = ServerArgs { api_url: None, data_dir: folder.to_owned() };
            let server = Server::find(&args, &|_| None).map_err(BackupProblem::new)?;
            return Ok(Self::Running(Box::new(server)));
        }
        let lock = Lock::take(folder).map_err(BackupProblem::new)?;
        let copy = Copy::open(&folder.join(STORE_FILE)).map_err(BackupProblem::new)?;
        Ok(Self::Idle { copy, _lock: lock })
    }

    /// Gives every row to `take`, as they all were at one moment.
    pub fn each(&self, mut take: impl FnMut(Row) -> Result<(), BackupProblem>) -> Result<(), BackupProblem> {
        match self {
            Self::Running(server) => over_the_api(server, take),
            Self::Idle { copy, .. } => {
                let mut last: Option<(Part, Vec<u8>)> = None;
                loop {
                    let after = last.as_ref().map(|(part, key)| (*part, key.as_slice()));
                    let rows = copy.rows(after).map_err(BackupProblem::new)?;
                    let Some(row) = rows.last() else { return Ok(()) };
                    last = Some((row.part, row.key.clone()));
                    rows.into_iter().try_for_each(&mut take)?;
                }
            }
        }
    }
}

fn over_the_api(
    server: &Server,
    mut take: impl FnMut(Row) -> Result<(), BackupProblem>,
) -> Result<(), BackupProblem> {
    let client = Client::new(server);
    let mut question = json!({});
    loop {
        let call = Call::new("ReadBackup", "POST", &["thingcore", "backup"]).body(question);
        let page = page(client.call(&call).map_err(BackupProblem::new)?)?;
        let Some(WireRow(part, key, _)) = page.rows.last() else { return Ok(()) };
        question = json!({ "reader": page.reader, "after": [part, key] });
        for row in &page.rows {
            take(
                row.row().ok_or_else(|| {
                    BackupProblem::new("the server's answer holds a row that cannot be read")
                })?,
            )?;
        }
    }
}

fn page(answer: Value) -> Result<WirePage, BackupProblem> {
    serde_json::from_value(answer)
        .map_err(|error| BackupProblem::new(format!("the server's answer is no page of a backup: {error}")))
}
