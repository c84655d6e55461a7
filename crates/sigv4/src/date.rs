//! The moments of a signature: `20150830T123600Z`, in the header, the query and the scope.

use identity::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// `20150830T123600Z`.
pub fn basic(at: Timestamp) -> String {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    moment.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Reads `20150830T123600Z`.
pub fn parse_basic(text: &str) -> Option<Timestamp> {
    if text.len() != 16 {
        return None;
    }
    let civil = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    from_jiff(Offset::UTC.to_timestamp(civil).ok()?)
}

/// Reads the value of a `Date` header, in the basic form or as HTTP writes it.
pub fn parse_header(text: &str) -> Option<Timestamp> {
    let rfc_2822 = || from_jiff(jiff::fmt::rfc2822::parse(text).ok()?.timestamp());
    parse_basic(text).or_else(rfc_2822)
}

fn from_jiff(moment: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_go_there_and_back() {
        let at = Timestamp(1_440_938_160_000);
        assert_eq!(basic(at), "20150830T123600Z");
        assert_eq!(parse_basic("20150830T123600Z"), Some(at));
        assert_eq!(parse_header("Sun, 30 Aug 2015 12:36:00 GMT"), Some(at));
        for bad in ["", "20150830T123600", "20151330T123600Z", "20150830 123600Z", "+0150830T123600Z"] {
            assert_eq!(parse_basic(bad), None, "{bad}");
        }
    }
}
