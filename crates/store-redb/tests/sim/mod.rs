//! A disk in memory that can lose power, fail, and fill up, and a random workload whose every prefix is known.

#![allow(dead_code)] // Each test file uses its part.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use redb::StorageBackend;
use store::{Append, Batch, Boxed, Journal, Key, Position, Recipient, Space, Store, StoreError, block_on};
use thingcore_store_redb::{Options, RedbStore};

pub const SPACE: Space = Space::new("power");
const SECTOR: usize = 512;
const SESSIONS: usize = 3;

/// Small, fast, and the same everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

#[derive(Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// When the disk stops doing what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Everything fails after this many more changes.
    PowerCut(u64),
    /// One write fails after this many more changes; the disk is fine otherwise.
    Hiccup(u64),
    /// The next request to make everything durable fails.
    SyncFails,
    /// No sector that was never written can be written.
    Full,
    /// Writing is a defect.
    Panics,
    Off,
}

#[derive(Debug)]
struct State {
    view: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
    written: BTreeSet<usize>,
    trouble: Trouble,
    changes: u64,
}

/// A disk; clones are the same disk.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            view: Vec::new(),
            durable: Vec::new(),
            unsynced: Vec::new(),
            written: BTreeSet::new(),
            trouble: Trouble::None,
            changes: 0,
        })))
    }

    pub fn open(&self, options: Options) -> Result<RedbStore, thingcore_store_redb::OpenError> {
        let disk = self.clone();
        RedbStore::with_backend(move || Ok(disk.clone()), options)
    }

    pub fn trouble(&self, trouble: Trouble) {
        self.0.lock().trouble = trouble;
    }

    /// How many changes the disk was told to make so far.
    pub fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    /// The power comes back: what was not synced is there in part, in any order, torn at sectors.
    pub fn restart(&self, dice: &mut Dice) {
        let mut state = self.0.lock();
        let unsynced = std::mem::take(&mut state.unsynced);
        let lengths: Vec<usize> = unsynced
            .iter()
            .filter_map(|change| match change {
                Unsynced::SetLen(len) => Some(*len),
                Unsynced::Write(..) => None,
            })
            .collect();
        // The file system keeps its own changes in order, and may have lost the last ones.
        let kept = dice.roll(lengths.len() as u64 + 1) as usize;
        for len in &lengths[..kept] {
            state.durable.resize(*len, 0);
        }
        let survival = [0, 50, 100][dice.roll(3) as usize];
        for change in &unsynced {
            let Unsynced::Write(offset, data) = change else { continue };
            for (at, sector) in data.chunks(SECTOR).enumerate() {
                let start = offset + at * SECTOR;
                if dice.roll(100) < survival && start + sector.len() <= state.durable.len() {
                    state.durable[start..start + sector.len()].copy_from_slice(sector);
                }
            }
        }
        state.view = state.durable.clone();
        state.trouble = Trouble::None;
    }
}

impl State {
    /// Counts a change; an error when it must not happen.
    fn change(&mut self, is_write: bool) -> io::Result<()> {
        self.changes += 1;
        assert!(self.trouble != Trouble::Panics, "a defect in the storage");
        match &mut self.trouble {
            Trouble::Off => Err(io::Error::other("the power is off")),
            Trouble::PowerCut(0) => {
                self.trouble = Trouble::Off;
                Err(io::Error::other("the power went off"))
            }
            Trouble::Hiccup(0) if is_write => {
                self.trouble = Trouble::None;
                Err(io::Error::other("a hiccup"))
            }
            Trouble::PowerCut(left) | Trouble::Hiccup(left) => {
                *left = left.saturating_sub(1);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn is_on(&self) -> io::Result<()> {
        if self.trouble == Trouble::Off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn has_room(&self, offset: usize, len: usize) -> bool {
        self.trouble != Trouble::Full
            || (offset / SECTOR..(offset + len).div_ceil(SECTOR)).all(|sector| self.written.contains(&sector))
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        self.view[offset..offset + data.len()].copy_from_slice(data);
        self.written.extend(offset / SECTOR..(offset + data.len()).div_ceil(SECTOR));
        self.unsynced.push(Unsynced::Write(offset, data.to_vec()));
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.0.lock();
        state.is_on()?;
        Ok(state.view.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock();
        state.is_on()?;
        let start = offset as usize;
        let bytes = state.view.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change(false)?;
        let len = len as usize;
        state.view.resize(len, 0);
        state.written.split_off(&len.div_ceil(SECTOR));
        state.unsynced.push(Unsynced::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change(false)?;
        if state.trouble == Trouble::SyncFails {
            state.trouble = Trouble::None;
            return Err(io::Error::other("the disk did not confirm"));
        }
        let state = &mut *state;
        for change in state.unsynced.drain(..) {
            match change {
                Unsynced::SetLen(len) => state.durable.resize(len, 0),
                Unsynced::Write(offset, data) => {
                    state.durable[offset..offset + data.len()].copy_from_slice(&data)
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        let offset = offset as usize;
        if let Err(error) = state.change(true) {
            // The write that the power cut interrupts may have reached the disk in part.
            state.unsynced.push(Unsynced::Write(offset, data.to_vec()));
            return Err(error);
        }
        if !state.has_room(offset, data.len()) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.write(offset, data);
        Ok(())
    }
}

/// Everything that a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    records: BTreeMap<Key, Bytes>,
    queues: [Vec<Bytes>; SESSIONS],
}

impl Contents {
    pub fn read(store: &RedbStore) -> Self {
        let mut contents = Self::default();
        for entry in block_on(store.scan(SPACE, b"", None, 1_000)).unwrap() {
            contents.records.insert(entry.key, entry.value);
        }
        for (number, queue) in contents.queues.iter_mut().enumerate() {
            let records = block_on(store.read(&session(number), Position::START, 1_000)).unwrap();
            queue.extend(records.into_iter().map(|record| record.body));
        }
        contents
    }
}

fn session(number: usize) -> Key {
    Key::of(&["session", &number.to_string()])
}

/// One write of the workload.
#[derive(Debug, Clone)]
pub enum Job {
    /// Keys and what they hold then (`None`: deleted).
    Commit(Vec<(Key, Option<Bytes>)>),
    /// A message for some sessions.
    Append(Bytes, Vec<usize>),
    /// A session's queue is emptied.
    Trim(usize),
}

impl Job {
    pub fn random(dice: &mut Dice, number: u64) -> Self {
        let body = |dice: &mut Dice| {
            let size = [8, 200, 3_000, 9_000][dice.roll(4) as usize];
            Bytes::from(number.to_be_bytes().repeat(size / 8))
        };
        match dice.roll(8) {
            0..5 => Self::Commit(
                (0..=dice.roll(4))
                    .map(|_| {
                        let key = Key::of(&[&dice.roll(6).to_string()]);
                        (key, (dice.roll(4) > 0).then(|| body(dice)))
                    })
                    .collect(),
            ),
            5..7 => {
                let to = (0..SESSIONS).filter(|_| dice.roll(2) == 0).collect();
                Self::Append(body(dice), to)
            }
            _ => Self::Trim(dice.roll(SESSIONS as u64) as usize),
        }
    }

    pub fn apply(&self, contents: &mut Contents) {
        match self {
            Self::Commit(writes) => {
                for (key, value) in writes {
                    match value {
                        Some(value) => contents.records.insert(key.clone(), value.clone()),
                        None => contents.records.remove(key),
                    };
                }
            }
            Self::Append(body, to) => {
                to.iter().for_each(|number| contents.queues[*number].push(body.clone()))
            }
            Self::Trim(number) => contents.queues[*number].clear(),
        }
    }

    /// Hands the job to the store; polled once, so that it is in the writer's queue.
    pub fn start<'a>(&self, store: &'a RedbStore) -> Boxed<'a, Result<(), StoreError>> {
        let job = self.clone();
        let mut future: Boxed<'a, Result<(), StoreError>> = Box::pin(async move { job.run(store).await });
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(done) => Box::pin(async { done }),
            std::task::Poll::Pending => future,
        }
    }

    async fn run(self, store: &RedbStore) -> Result<(), StoreError> {
        match self {
            Self::Commit(writes) => {
                let mut batch = Batch::new();
                for (key, value) in writes {
                    match value {
                        Some(value) => batch.put(SPACE, key, value),
                        None => batch.delete(SPACE, key),
                    };
                }
                store.commit(batch).await.map(drop).map_err(|error| match error {
                    store::CommitError::Store(error) => error,
                    conflict @ store::CommitError::Conflict { .. } => panic!("{conflict}"),
                })
            }
            Self::Append(body, to) => {
                let to =
                    to.into_iter().map(|number| Recipient { session: session(number), tag: Bytes::new() });
                store.append(vec![Append { body, to: to.collect() }]).await.map(drop)
            }
            Self::Trim(number) => store.trim(&session(number), Position::END).await,
        }
    }
}
