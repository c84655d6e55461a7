//! `POST backup`: the store as it was at one moment, page by page, for `thingcore backup`. One reader at a time: space
//! that is freed while one reads is not used again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::{InvalidInput, OwnOperations};
use serde::Deserialize;
use serde_json::Value;
use store_redb::{Copy, RedbStore, Row};

use super::own::read;
use crate::backup::{WirePage, WireRow};

/// A reader that asks for nothing so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds the operation.
pub fn with_backup(own: OwnOperations, store: &Arc<RedbStore>) -> OwnOperations {
    let (store, desk) = (Arc::clone(store), Arc::new(Desk::default()));
    own.with_waiting("ReadBackup", "POST", "backup", move |body| {
        let (store, desk) = (Arc::clone(&store), Arc::clone(&desk));
        async move {
            let question = if body.is_null() { Question::default() } else { read(body)? };
            let watched = Arc::clone(&desk);
            if question.reader.is_none() {
                tokio::spawn(async move { watched.watch().await });
            }
            let read = tokio::task::spawn_blocking(move || desk.answer(&store, &question));
            read.await.map_err(|error| refused(&format!("the page could not be read: {error}")))?
        }
    })
}

/// What a reader says: nothing at first, then who it is and which row it had last.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Question {
    reader: Option<String>,
    after: Option<(char, String)>,
}

/// Where the one reader sits.
#[derive(Default)]
struct Desk(Mutex<Option<Reading>>);

struct Reading {
    reader: String,
    copy: Arc<Copy>,
    asked: Instant,
}

impl Desk {
    fn answer(&self, store: &RedbStore, question: &Question) -> Result<Value, InvalidInput> {
        let (reader, copy) = self.seat(store, question)?;
        let after = question.after.as_ref().map(last_row).transpose()?;
        let after = after.as_ref().map(|row| (row.part, row.key.as_slice()));
        let rows = copy.rows(after).map_err(|error| refused(&error.to_string()))?;
        if rows.is_empty() {
            *self.place() = None;
        }
        let page = WirePage { reader, rows: rows.iter().map(WireRow::of).collect() };
        serde_json::to_value(page).map_err(|error| refused(&error.to_string()))
    }

    fn seat(&self, store: &RedbStore, question: &Question) -> Result<(String, Arc<Copy>), InvalidInput> {
        let mut place = self.place();
        if question.reader.is_none() && place.is_none() {
            let copy = store.copy().map_err(|error| refused(&error.to_string()))?;
            let reader = uuid::Uuid::new_v4().simple().to_string();
            *place = Some(Reading { reader, copy: Arc::new(copy), asked: Instant::now() });
        } else if question.reader.is_none() {
            return Err(refused("another backup is being read; try again when it is done, or in a minute"));
        }
        let here =
            place.as_mut().filter(|here| question.reader.as_ref().is_none_or(|asked| *asked == here.reader));
        let here = here
            .ok_or_else(|| refused("this reader is gone: it asked for nothing for a minute; begin again"))?;
        here.asked = Instant::now();
        Ok((here.reader.clone(), Arc::clone(&here.copy)))
    }

    /// Lets a reader go that went away without a word.
    async fn watch(&self) {
        loop {
            tokio::time::sleep(PATIENCE / 4).await;
            let mut place = self.place();
            match &*place {
                Some(here) if here.asked.elapsed() < PATIENCE => {}
                _ => {
                    *place = None;
                    return;
                }
            }
        }
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last_row((part, key): &(char, String)) -> Result<Row, InvalidInput> {
    let row = WireRow(*part, key.clone(), String::new()).row();
    row.ok_or_else(|| refused("after must be the part and the key of a row"))
}

fn refused(why: &str) -> InvalidInput {
    InvalidInput(format!("{why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reader_at_a_time_gets_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            RedbStore::open(&folder.path().join("store.redb"), store_redb::Options::default()).unwrap();
        let desk = Desk::default();
        let ask = |body: Value| desk.answer(&store, &read(body).unwrap());
        let first: WirePage = serde_json::from_value(ask(serde_json::json!({})).unwrap()).unwrap();
        assert_eq!(first.rows.last().unwrap().0, 'M');
        assert!(ask(serde_json::json!({})).unwrap_err().0.contains("another backup"));
        assert!(ask(serde_json::json!({ "reader": "other" })).unwrap_err().0.contains("begin again"));
        let WireRow(part, key, _) = first.rows.last().unwrap();
        let next = serde_json::json!({ "reader": first.reader, "after": [part, key] });
        let last: WirePage = serde_json::from_value(ask(next.clone()).unwrap()).unwrap();
        assert!(last.rows.is_empty(), "{last:?}");
        assert!(ask(next).is_err(), "what was read to its end is closed");
        assert!(ask(serde_json::json!({ "reader": first.reader, "after": ["?", ""] })).is_err());
        assert!(ask(serde_json::json!({})).is_ok());
    }
}
