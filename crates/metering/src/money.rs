//! Money, exactly: whole picodollars. The price of one unit at a price per million with six decimals is a whole
//! number of them, so nothing is ever rounded before it is shown.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

/// Picodollars in a dollar.
const DOLLAR: u128 = 1_000_000_000_000;
/// Decimals of a price per million that are kept.
const DECIMALS: usize = 6;

/// An amount in US dollars, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many picodollars.
    pub const fn pico(amount: u128) -> Self {
        Self(amount)
    }

    /// In picodollars.
    pub const fn as_pico(self) -> u128 {
        self.0
    }

    /// The price of a number of units.
    pub fn times(self, units: u128) -> Self {
        Self(self.0.saturating_mul(units))
    }

    /// `self * numerator / denominator`, rounded down.
    pub fn share(self, numerator: u128, denominator: u128) -> Self {
        Self(mul_div(self.0, numerator, denominator))
    }

    /// Whole cents, half a cent rounded up.
    pub fn cents(self) -> u128 {
        self.0.saturating_add(DOLLAR / 200) / (DOLLAR / 100)
    }

    /// Dollars and cents, as on an invoice: `345.60`.
    pub fn to_cents(self) -> String {
        let cents = self.cents();
        format!("{}.{:02}", cents / 100, cents % 100)
    }

    /// A decimal number of dollars, at most twelve decimals.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        decimal(text, 12).map(Self)
    }

    /// The price of one unit, of a price per million units with at most six decimals.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn per_million(text: &str) -> Result<Self, String> {
        decimal(text, DECIMALS).map(Self)
    }
}

/// `a * b / c`, rounded down, and as much as there can be if it does not fit.
pub(crate) fn mul_div(a: u128, b: u128, c: u128) -> u128 {
    let c = c.max(1);
    match a.checked_mul(b) {
        Some(product) => product / c,
        None => (a / c).saturating_mul(b).saturating_add((a % c).saturating_mul(b / c)),
    }
}

/// A decimal number in units of its last decimal.
fn decimal(text: &str, decimals: usize) -> Result<u128, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
        return Err(format!("{text:?} is not a decimal number such as 0.08"));
    }
    if fraction.len() > decimals || whole.len() > 15 {
        return Err(format!("{text} has too many digits: {decimals} decimals and 15 before them at most"));
    }
    format!("{whole}{fraction:0<decimals$}").parse().map_err(|error| format!("{text}: {error}"))
}

impl fmt::Display for Money {
    /// All decimals that count, two at least.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:012}", self.0 % DOLLAR);
        let cut = fraction.trim_end_matches('0');
        f.pad(&format!("{}.{:0<2}", self.0 / DOLLAR, cut))
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

impl serde::Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        let price = Money::per_million("0.08").unwrap();
        assert_eq!(price.as_pico(), 80_000);
        assert_eq!(price.times(4_320_000_000).to_cents(), "345.60");
        assert_eq!(price.times(1).to_string(), "0.00000008");
        assert_eq!(Money::parse("12").unwrap().to_string(), "12.00");
    }

    #[test]
    fn half_a_cent_is_rounded_up_only_for_show() {
        assert_eq!(Money::parse("0.005").unwrap().to_cents(), "0.01");
        assert_eq!(Money::parse("0.0049999").unwrap().to_cents(), "0.00");
    }

    #[test]
    fn what_is_no_decimal_number_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "1e3", "1,0", "0.0000001"] {
            assert!(Money::per_million(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_do_not_overflow() {
        assert_eq!(mul_div(u128::MAX, 2, 4), u128::MAX / 2 - 1);
        assert_eq!(mul_div(7, 3, 2), 10);
        assert_eq!(mul_div(7, 3, 0), 21);
    }
}
