//! The little DER that issuing needs: writing values, and stepping into a few that AWS-LC wrote.

use identity::Timestamp;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0C;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Tag, length, content.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.push(u8::try_from(content.len()).unwrap_or_default());
    } else {
        let length = content.len().to_be_bytes();
        let significant: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
        out.extend(significant);
    }
    out.extend_from_slice(content);
    out
}

/// A value made of values.
pub(crate) fn of(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    value(tag, &parts.concat())
}

/// An object identifier from its dotted form.
pub(crate) fn object(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().unwrap_or_default()).collect();
    let mut content = Vec::new();
    if let [first, second, rest @ ..] = arcs.as_slice() {
        push_arc(&mut content, first * 40 + second);
        rest.iter().for_each(|arc| push_arc(&mut content, *arc));
    }
    value(OBJECT, &content)
}

fn push_arc(content: &mut Vec<u8>, arc: u64) {
    let groups = (0..10).rev().map(|group| arc >> (7 * group)).skip_while(|part| *part == 0);
    let mut bytes: Vec<u8> =
        groups.map(|part| 0x80 | u8::try_from(part & 0x7F).unwrap_or_default()).collect();
    match bytes.last_mut() {
        Some(last) => *last &= 0x7F,
        None => bytes.push(0),
    }
    content.extend(bytes);
}

/// A bit string of whole bytes.
pub(crate) fn bits(content: &[u8]) -> Vec<u8> {
    of(BIT_STRING, &[&[0], content])
}

/// A moment, to the second: UTCTime through 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5).
pub(crate) fn time(at: Timestamp) -> Vec<u8> {
    let seconds = at.millis() / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let rest = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    if year < 2050 {
        value(UTC_TIME, format!("{:02}{rest}", year % 100).as_bytes())
    } else {
        value(GENERALIZED_TIME, format!("{year:04}{rest}").as_bytes())
    }
}

/// The date of a day counted from 1970-01-01.
fn civil(day: u64) -> (u64, u64, u64) {
    let mut rest = day;
    let mut year = 1970;
    // At most 8030 rounds: a year has four digits.
    while year < 9999 && rest >= days_of_year(year) {
        rest -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while month < 12 && rest >= days_of_month(year, month) {
        rest -= days_of_month(year, month);
        month += 1;
    }
    (year, month, rest.min(30) + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The first value of `input`: its tag, its content, and what follows. Definite lengths of up to four bytes.
pub(crate) fn read(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let bytes = usize::from(first & 0x7F);
        if bytes == 0 || bytes > 4 || rest.len() < bytes {
            return None;
        }
        let (length, rest) = rest.split_at(bytes);
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    (length <= rest.len()).then(|| rest.split_at(length)).map(|(content, after)| (*tag, content, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths() {
        assert_eq!(value(OCTET_STRING, &[1]), [4, 1, 1]);
        assert_eq!(value(OCTET_STRING, &[0; 0x80])[..3], [4, 0x81, 0x80]);
        assert_eq!(value(OCTET_STRING, &[0; 300])[..4], [4, 0x82, 1, 44]);
        assert_eq!(read(&[4, 0x82, 1]), None);
        assert_eq!(read(&[4, 5, 1]), None);
        assert_eq!(read(&[4, 1, 7, 9]), Some((4, &[7][..], &[9][..])));
    }

    #[test]
    fn objects() {
        assert_eq!(object("1.2.840.10045.4.3.2"), [6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2]);
        assert_eq!(object("2.5.29.17"), [6, 3, 0x55, 29, 17]);
        assert_eq!(object("1.3.0"), [6, 2, 0x2B, 0]);
    }

    #[test]
    fn times() {
        let text = |seconds: u64| String::from_utf8(time(Timestamp(seconds * 1000))[2..].to_vec()).unwrap();
        assert_eq!(text(0), "700101000000Z");
        assert_eq!(text(951_782_400), "000229000000Z");
        assert_eq!(text(2_524_607_999), "491231235959Z");
        assert_eq!(text(2_524_608_000), "20500101000000Z");
        assert_eq!(text(4_107_542_400), "21000301000000Z");
        assert!(text(u64::MAX / 1000).starts_with("9999"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_was_written_is_read(content in proptest::collection::vec(any::<u8>(), 0..700)) {
            let written = value(OCTET_STRING, &content);
            prop_assert_eq!(read(&written), Some((OCTET_STRING, &content[..], &[][..])));
        }
    }
}
