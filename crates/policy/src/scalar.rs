//! The typed values of conditions: numbers, dates, networks.

use std::net::IpAddr;

/// A finite decimal number. `inf`, `nan` and hexadecimal are not numbers.
pub(crate) fn number(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(plain) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `true` or `false`, in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|b| b.1)
}

/// Milliseconds since the epoch, from ISO 8601 (`2026-10-01`, `2026-10-01T12:30Z`, with seconds, fractions and
/// offsets) or from whole seconds since the epoch.
pub(crate) fn date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000);
    }
    let (day, time) = text.split_once('T').map_or((text, None), |(day, time)| (day, Some(time)));
    let midnight = days(day)?.checked_mul(86_400_000)?;
    let within = time.map_or(Some(0), time_of_day)?;
    midnight.checked_add(within)
}

/// The inverse of [`date`], to whole seconds.
pub(crate) fn format_date(millis: u64) -> String {
    let seconds = millis / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01 in the proleptic Gregorian calendar; an era is 400 years.
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days since the epoch of a `YYYY-MM-DD`.
fn days(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || day == 0 || day > days_in(year, month)? {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => Some(if leap { 29 } else { 28 }),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Milliseconds since midnight UTC of `HH:MM[:SS[.fff]]` with `Z` or an offset.
fn time_of_day(text: &str) -> Option<i64> {
    let (clock, offset) = match text.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = text.rfind(['+', '-'])?;
            let (clock, zone) = text.split_at_checked(at)?;
            let minutes = minutes(zone.get(1..)?)?;
            (clock, if zone.starts_with('-') { -minutes } else { minutes })
        }
    };
    let (clock, fraction) = clock.split_once('.').map_or((clock, "0"), |parts| parts);
    let (hours_minutes, seconds) = match clock.match_indices(':').nth(1) {
        Some((at, _)) => (clock.get(..at)?, digits(clock.get(at + 1..)?, 2).filter(|s| *s < 60)?),
        None => (clock, 0),
    };
    let millis = digits(fraction.get(..3).unwrap_or(fraction), fraction.len().min(3))?;
    let millis = millis * [1, 100, 10, 1].get(fraction.len().min(3)).copied()?;
    Some(((minutes(hours_minutes)? - offset) * 60 + seconds) * 1000 + millis)
}

fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    if text.len() != count || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// An address range in CIDR notation; a single address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    length: u32,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
            Some(_) => return None,
            None => longest,
        };
        (length <= longest).then_some(Self { address, length })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                same_head(net.to_bits().into(), address.to_bits().into(), 32 - self.length)
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                same_head(net.to_bits(), address.to_bits(), 128 - self.length)
            }
            _ => false,
        }
    }
}

fn same_head(left: u128, right: u128, ignored_bits: u32) -> bool {
    (left ^ right).checked_shr(ignored_bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        assert_eq!(date("1970-01-01"), Some(0));
        assert_eq!(date("1970-01-02T00:00Z"), Some(86_400_000));
        assert_eq!(date("2000-02-29T23:59:59.5Z"), Some(951_868_799_500));
        assert_eq!(date("2026-10-01T02:30:00+02:30"), date("2026-10-01T00:00:00Z"));
        assert_eq!(date("2026-10-01T00:00:00.123456-01:00"), date("2026-10-01").map(|d| d + 3_600_123));
        assert_eq!(date("1791000000"), Some(1_791_000_000_000));
        assert_eq!(date("1969-12-31"), Some(-86_400_000));
        for bad in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-10-01T24:00Z",
            "2026-10-01T00:00",
            "26-10-01",
            "x",
            "2026-10-01T",
            "2026-10-01T00:00:61Z",
            "2026-10-01T00:00:00.Z",
            "2026-10-1",
        ] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_written() {
        for text in
            ["1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2026-12-31T12:30:01Z", "2100-03-01T00:00:00Z"]
        {
            let millis = u64::try_from(date(text).unwrap()).unwrap();
            assert_eq!(format_date(millis), text);
        }
    }

    #[test]
    fn networks_contain_addresses() {
        let inside =
            |net: &str, address: &str| Network::parse(net).unwrap().contains(address.parse().unwrap());
        assert!(inside("10.1.0.0/16", "10.1.255.255"));
        assert!(!inside("10.1.0.0/16", "10.2.0.0"));
        assert!(inside("10.1.2.3", "10.1.2.3"));
        assert!(inside("0.0.0.0/0", "255.1.1.1"));
        assert!(!inside("0.0.0.0/0", "::1"));
        assert!(inside("10.1.0.0/16", "::ffff:10.1.2.3"));
        assert!(inside("2001:db8::/32", "2001:db8:1::"));
        assert!(inside("::/0", "2001:db8:1::"));
        assert!(!inside("2001:db8::/32", "2001:db9::"));
        for bad in ["10.0.0.0/33", "10.0.0", "::/129", "a", "10.0.0.0/-1", "10.0.0.0/"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_finite_decimals() {
        assert_eq!(number("-1.5e3"), Some(-1500.0));
        for bad in ["nan", "inf", "infinity", "0x10", "", "1e999", "1_000"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
