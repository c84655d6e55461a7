//! The key under which session tokens are made.

use std::path::Path;

use access::SessionKey;

use super::{DataDirProblem, read_optional, write};
use crate::entropy;

const FILE: &str = "session-key";

/// The key of the last start, or a new one. With a new one the sessions of before are worth nothing.
pub(super) fn open(folder: &Path) -> Result<SessionKey, DataDirProblem> {
    if let Some(found) = read(folder)? {
        return Ok(found);
    }
    let path = folder.join(FILE);
    let key: [u8; 32] = entropy::bytes();
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    write(&path, &text)?;
    Ok(SessionKey::new(key))
}

/// What is there.
pub(super) fn read(folder: &Path) -> Result<Option<SessionKey>, DataDirProblem> {
    let path = folder.join(FILE);
    let Some(text) = read_optional(&path)? else { return Ok(None) };
    let key = from_hex(text.trim()).ok_or_else(|| {
        DataDirProblem(format!(
            "{}: it must hold 64 hexadecimal digits; delete it, and a new key is made: temporary credentials of \
             before end then",
            path.display()
        ))
    })?;
    Ok(Some(SessionKey::new(key)))
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_of_hex() {
        assert_eq!(from_hex(&"0f".repeat(32)), Some([15; 32]));
        for bad in ["", "0f", &"0g".repeat(32), &"ü".repeat(32), &"+f".repeat(32)] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}
