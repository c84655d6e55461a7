//! A store's file that is looked at and never changed: what the engine writes while it opens it stays in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;

use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// The unit of what is kept in memory.
const BLOCK: usize = 4096;

/// Reads the file; keeps changes in memory. They are few: a repair writes the headers and one commit.
#[derive(Debug)]
pub(crate) struct Overlay {
    file: FileBackend,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    /// How much of the file still shows through: what was cut off and added again is zero.
    shown: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    /// Opens the file for reading, locked against a store that writes it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = FileBackend::new(File::open(path)?).map_err(io::Error::other)?;
        let len = file.len()?;
        Ok(Self { file, state: Mutex::new(State { len, shown: len, blocks: BTreeMap::new() }) })
    }

    /// The file's own block, with zeros behind its end.
    fn original(&self, block: u64, shown: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; BLOCK];
        let start = block * BLOCK as u64;
        let there = usize::try_from(shown.saturating_sub(start)).unwrap_or(BLOCK).min(BLOCK);
        if let Some(part) = bytes.get_mut(..there).filter(|part| !part.is_empty()) {
            self.file.read(start, part)?;
        }
        Ok(bytes)
    }
}

/// Block, place in it and length of each piece of a range.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = usize::try_from(at % BLOCK as u64).unwrap_or(0);
        let piece = (BLOCK - within).min(len - done);
        done += piece;
        (piece > 0).then_some((at / BLOCK as u64, within, piece))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock();
        if offset + out.len() as u64 > state.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        for (block, within, piece) in pieces(offset, rest.len()) {
            let (now, later) = rest.split_at_mut(piece);
            let kept = state.blocks.get(&block).cloned();
            let bytes = kept.map_or_else(|| self.original(block, state.shown), Ok)?;
            now.copy_from_slice(bytes.get(within..within + piece).unwrap_or_default());
            rest = later;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let (block, within) = (len / BLOCK as u64, usize::try_from(len % BLOCK as u64).unwrap_or(0));
        state.blocks.retain(|kept, _| *kept < block || (*kept == block && within > 0));
        if let Some(tail) = state.blocks.get_mut(&block).and_then(|kept| kept.get_mut(within..)) {
            tail.fill(0);
        }
        state.shown = state.shown.min(len);
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut rest = data;
        for (block, within, piece) in pieces(offset, data.len()) {
            let (now, later) = rest.split_at(piece);
            let kept = match state.blocks.remove(&block) {
                Some(kept) => Ok(kept),
                None => self.original(block, state.shown),
            };
            let mut kept = kept?;
            if let Some(place) = kept.get_mut(within..within + piece) {
                place.copy_from_slice(now);
            }
            state.blocks.insert(block, kept);
            rest = later;
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    // Who only reads locks out those who write, and nobody else.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLen(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..9_000);
        prop_oneof![
            (0..30_000u64, bytes).prop_map(|(at, bytes)| Step::Write(at, bytes)),
            (0..30_000u64).prop_map(Step::SetLen),
        ]
    }

    proptest! {
        /// What is read is what a plain file would hold, and the file is as it was.
        #[test]
        fn it_behaves_like_the_file_and_leaves_it_alone(
            before in proptest::collection::vec(any::<u8>(), 0..20_000),
            steps in proptest::collection::vec(step(), 0..12),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            std::fs::write(&path, &before).unwrap();
            let overlay = Overlay::open(&path).unwrap();
            let mut model = before.clone();
            for step in steps {
                match step {
                    Step::Write(at, bytes) => {
                        let at = at.min(model.len() as u64);
                        let room = model.len() - at as usize;
                        let bytes = &bytes[..bytes.len().min(room)];
                        overlay.write(at, bytes).unwrap();
                        model[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
                    }
                    Step::SetLen(len) => {
                        overlay.set_len(len).unwrap();
                        model.resize(len as usize, 0);
                    }
                }
                let mut seen = vec![1; overlay.len().unwrap() as usize];
                overlay.read(0, &mut seen).unwrap();
                prop_assert!(seen == model);
                prop_assert!(overlay.read(1, &mut vec![0; model.len()]).is_err());
            }
            prop_assert!(std::fs::read(&path).unwrap() == before);
        }
    }
}
