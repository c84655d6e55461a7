//! Numbers from names: written out here, so that a seed means the same in every version.

/// Two independent numbers for the `nth` question of a client about one quirk.
pub(crate) fn draw(seed: u64, quirk: &str, client: &str, nth: u32) -> (u64, u64) {
    let named = fnv(fnv(seed ^ 0xCBF2_9CE4_8422_2325, quirk.as_bytes()) ^ 0xFF, client.as_bytes());
    let first = mix(mix(named).wrapping_add(u64::from(nth)));
    (first, mix(first ^ 0x9E37_79B9_7F4A_7C15))
}

/// Whether a number falls under a probability.
pub(crate) fn is_under(number: u64, probability: f64) -> bool {
    // 53 bits are what a f64 holds exactly: 1.0 is always above them, 0.0 never.
    ((number >> 11) as f64) < probability * (1u64 << 53) as f64
}

/// FNV-1a, 64 bits.
fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// The finisher of splitmix64.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        // Whoever kept a seed from an earlier version gets the same run.
        let pinned: Vec<bool> =
            (0..16).map(|nth| is_under(draw(7, "qos0-duplicates", "sensor-7", nth).0, 0.5)).collect();
        let written: String = pinned.iter().map(|hit| if *hit { 'x' } else { '.' }).collect();
        assert_eq!(written, "xxxx..x...x.x...");
    }

    #[test]
    fn certainty_and_impossibility_are_exact() {
        for number in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(is_under(number, 1.0) && !is_under(number, 0.0));
        }
    }

    #[test]
    fn frequencies_are_about_the_probability() {
        for probability in [0.01, 0.25, 0.9] {
            let hits = (0..20_000).filter(|nth| is_under(draw(1, "q", "c", *nth).0, probability)).count();
            let share = hits as f64 / 20_000.0;
            assert!((share - probability).abs() < 0.02, "{probability}: {share}");
        }
    }
}
