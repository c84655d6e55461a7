//! Price lists and budgets of a user: whatever a file says, it is read or refused with a place; and what was read makes
//! a bill whose lines add up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metering::{Bill, Budget, Money, Prices};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = Budget::parse(&text) {
        assert!(!error.to_string().is_empty());
    }
    match Prices::parse(&text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(prices) => {
            for units in [0, 1, 1_000_000_000, u64::MAX] {
                let bill = Bill::of(|_| units, &prices, data.len() % 2 == 0);
                assert_eq!(bill.total, bill.lines.iter().map(|line| line.cost).sum::<Money>());
                for line in &bill.lines {
                    let priced: u64 = line.tiers.iter().map(|tier| tier.units).sum();
                    assert_eq!(priced + line.free + line.unpriced, units);
                }
            }
        }
    }
});
