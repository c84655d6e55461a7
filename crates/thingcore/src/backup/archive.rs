//! The form of a backup: a line that says what it is, pieces, and a digest over all of it.
//!
//! A piece: kind (1 byte), length of the key and of the value (4 bytes each, big-endian), key, value. Kind `F` is a
//! part of a file (key: its name; parts of one file follow one another), `E` the end (value: SHA-256 of all bytes
//! before the piece), and the others are rows of the store.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// The first line; a change of the form changes the number.
const FIRST_LINE: &[u8] = b"thingcore backup 1\n";
/// How the first line of any backup begins.
const ANY: &[u8] = b"thingcore backup ";
/// The most bytes of a key or a value.
const MOST: u32 = 64 << 20;

/// Part of a file.
pub const FILE: u8 = b'F';
/// The end.
const END: u8 = b'E';

/// One piece.
pub struct Piece {
    /// What it is.
    pub kind: u8,
    /// A file's name, or a row's key.
    pub key: Vec<u8>,
    /// What is in it.
    pub value: Vec<u8>,
}

/// Writes a backup.
pub struct Writer<W> {
    out: W,
    digest: Sha256,
}

impl<W: Write> Writer<W> {
    /// Begins.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, digest: Sha256::new() };
        writer.bytes(FIRST_LINE)?;
        Ok(writer)
    }

    /// Adds a piece.
    pub fn put(&mut self, kind: u8, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.bytes(&[kind])?;
        for part in [key, value] {
            let length = u32::try_from(part.len()).ok().filter(|length| *length <= MOST);
            let length = length.ok_or_else(|| wrong("a piece would be longer than 64 MiB"))?;
            self.bytes(&length.to_be_bytes())?;
        }
        self.bytes(key)?;
        self.bytes(value)
    }

    /// Ends it, and gives the sink back.
    pub fn finish(mut self) -> io::Result<W> {
        let digest = self.digest.clone().finalize();
        self.put(END, &[], &digest)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads a backup. What it gave out is to be believed only when it has given `None`.
pub struct Reader<R> {
    from: R,
    digest: Sha256,
}

impl<R: Read> Reader<R> {
    /// Begins; refuses what is no backup.
    pub fn new(from: R) -> io::Result<Self> {
        let mut reader = Self { from, digest: Sha256::new() };
        let mut first = vec![0; FIRST_LINE.len()];
        reader.bytes(&mut first)?;
        match first.as_slice() {
            FIRST_LINE => Ok(reader),
            other if other.starts_with(ANY) => {
                Err(wrong("it was written by a version with another form of backups"))
            }
            _ => Err(wrong("it is no backup of thingcore")),
        }
    }

    /// The next piece; `None` when the end came and the digest holds.
    pub fn next(&mut self) -> io::Result<Option<Piece>> {
        let before = self.digest.clone();
        let mut kind = [0];
        self.bytes(&mut kind)?;
        let (key, value) = (self.length()?, self.length()?);
        let (key, value) = (self.part(key)?, self.part(value)?);
        let [kind] = kind;
        if kind != END {
            return Ok(Some(Piece { kind, key, value }));
        }
        match before.finalize().as_slice() == value.as_slice() {
            true => self.nothing_more(),
            false => Err(wrong("its digest does not hold: it was changed after it was written")),
        }
    }

    fn nothing_more(&mut self) -> io::Result<Option<Piece>> {
        match self.from.read(&mut [0])? {
            0 => Ok(None),
            _ => Err(wrong("something follows its end")),
        }
    }

    fn length(&mut self) -> io::Result<u32> {
        let mut length = [0; 4];
        self.bytes(&mut length)?;
        Some(u32::from_be_bytes(length))
            .filter(|length| *length <= MOST)
            .ok_or_else(|| wrong("a length is impossible"))
    }

    /// Memory is taken as bytes come, not as a length promises.
    fn part(&mut self, length: u32) -> io::Result<Vec<u8>> {
        let mut part = Vec::new();
        let read = self.from.by_ref().take(u64::from(length)).read_to_end(&mut part)?;
        if u32::try_from(read) != Ok(length) {
            return Err(cut_short());
        }
        self.digest.update(&part);
        Ok(part)
    }

    fn bytes(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.from.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => cut_short(),
            _ => error,
        })?;
        self.digest.update(&*bytes);
        Ok(())
    }
}

fn wrong(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn cut_short() -> io::Error {
    wrong("it is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        writer.put(FILE, b"account.json", b"{}").unwrap();
        writer.put(b'R', b"key", &[7; 300]).unwrap();
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<Piece>> {
        let mut reader = Reader::new(bytes)?;
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next()? {
            pieces.push(piece);
        }
        Ok(pieces)
    }

    #[test]
    fn pieces_come_back() {
        let pieces = read(&written()).unwrap();
        assert_eq!(pieces.len(), 2);
        assert_eq!(
            (pieces[0].kind, pieces[0].key.as_slice(), pieces[0].value.as_slice()),
            (FILE, &b"account.json"[..], &b"{}"[..])
        );
        assert_eq!((pieces[1].kind, pieces[1].value.len()), (b'R', 300));
    }

    #[test]
    fn a_backup_that_is_cut_or_changed_anywhere_is_refused() {
        let whole = written();
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "changed at {at}");
        }
        assert!(read(&[whole.as_slice(), b"more"].concat()).is_err());
        assert!(read(b"thingcore backup 9\n....").err().unwrap().to_string().contains("another form"));
    }
}
