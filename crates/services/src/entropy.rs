//! Randomness as the services need it; where it comes from is the product's business, so tests repeat.

use pki::Serial;

/// A source of random bytes. Certificate serial numbers and the registration code come from it, so in a product it
/// must be unpredictable.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, bytes: &mut [u8]);
}

impl<F: Fn(&mut [u8]) + Send + Sync> Entropy for F {
    fn fill(&self, bytes: &mut [u8]) {
        self(bytes);
    }
}

/// So many random bytes.
pub fn bytes<const LENGTH: usize>(entropy: &dyn Entropy) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    entropy.fill(&mut bytes);
    bytes
}

/// A version 4 UUID: ids of things, types and groups; generation ids.
pub fn uuid(entropy: &dyn Entropy) -> String {
    uuid::Builder::from_random_bytes(bytes(entropy)).into_uuid().to_string()
}

/// A certificate's serial number.
pub fn serial(entropy: &dyn Entropy) -> Serial {
    Serial::from_random(bytes(entropy))
}

/// 64 hexadecimal digits: the registration code.
pub(crate) fn code(entropy: &dyn Entropy) -> String {
    bytes::<32>(entropy).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_give_the_same_names() {
        let sevens = |bytes: &mut [u8]| bytes.fill(0x77);
        assert_eq!(uuid(&sevens), "77777777-7777-4777-b777-777777777777");
        assert_eq!(code(&sevens), "77".repeat(32));
    }
}
