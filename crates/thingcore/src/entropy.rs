//! Randomness for what is made at the first start: from the system's generator, through version 4 UUIDs, whose
//! version and variant bytes are left out.

use uuid::Uuid;

/// `length` letters of `alphabet` (at most 256 letters), each equally likely.
pub fn text(length: usize, alphabet: &[u8]) -> String {
    let size = alphabet.len().clamp(1, 256);
    // Values beyond the last whole multiple would favour the first letters.
    let limit = 256 - 256 % size;
    stream()
        .map(usize::from)
        .filter(|value| *value < limit)
        .filter_map(|value| alphabet.get(value % size).copied())
        .map(char::from)
        .take(length)
        .collect()
}

/// Fills the buffer with random bytes.
pub fn fill(bytes: &mut [u8]) {
    bytes.iter_mut().zip(stream()).for_each(|(byte, random)| *byte = random);
}

/// So many random bytes.
pub fn bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    fill(&mut bytes);
    bytes
}

/// A seed for hashers and generated ids.
pub fn seed() -> u64 {
    u64::from_ne_bytes(bytes())
}

fn stream() -> impl Iterator<Item = u8> {
    std::iter::repeat_with(Uuid::new_v4).flat_map(|uuid| {
        let bytes = uuid.into_bytes().into_iter().enumerate();
        bytes.filter(|(index, _)| !matches!(index, 6 | 8)).map(|(_, byte)| byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_length_and_alphabet() {
        let one = text(40, b"ab");
        assert_eq!(one.len(), 40);
        assert!(one.bytes().all(|letter| letter == b'a' || letter == b'b'));
        assert_ne!(text(40, b"0123456789"), text(40, b"0123456789"));
    }

    #[test]
    fn bytes_are_filled_to_the_end() {
        let many: [u8; 4096] = bytes();
        assert!(many.rchunks(64).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
    }
}
