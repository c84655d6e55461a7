//! Projection: what was measured, scaled to a fleet and a time.

use serde::Serialize;

use crate::bill::Bill;
use crate::item::Dimension;
use crate::money::mul_div;
use crate::prices::Prices;
use crate::usage::Usage;

const MINUTE: u64 = 60_000;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// How many devices.
    pub devices: u64,
    /// For how long, milliseconds.
    pub millis: u64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Projection {
    /// The bill of the fleet.
    pub bill: Bill,
    /// What it rests on, in sentences.
    pub assumptions: Vec<String>,
}

/// Scales units: `units * devices * time / (measured devices * measured time)`, started units. A device is connected no
/// longer than there is time.
///
/// # Errors
/// No device was seen: nothing can be scaled.
pub fn project(usage: &Usage, fleet: Fleet, prices: &Prices, free_tier: bool) -> Result<Projection, String> {
    if usage.devices == 0 {
        return Err("no device was connected in the measured time: there is nothing to scale".to_owned());
    }
    let (numerator, denominator) = (
        u128::from(fleet.devices).saturating_mul(fleet.millis.into()),
        u128::from(usage.devices).saturating_mul(usage.elapsed().into()),
    );
    let longest = u128::from(fleet.devices).saturating_mul(u128::from(fleet.millis.div_ceil(MINUTE)));
    let units = |dimension| {
        let scaled = scaled(usage.units(dimension), numerator, denominator);
        let scaled = if dimension == Dimension::Connectivity { scaled.min(longest) } else { scaled };
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    let seconds = usage.elapsed() / 1000;
    let mut assumptions = vec![
        format!(
            "{} devices do for {} what {} did in {seconds} s",
            fleet.devices,
            time(fleet.millis),
            usage.devices
        ),
        "what happened once in that time (connecting, subscribing, provisioning) happens as often again"
            .to_owned(),
        "a device is connected for the whole time at most, however often it connected".to_owned(),
        if free_tier { "the free tier applies" } else { "no free tier" }.to_owned(),
    ];
    if usage.devices_at_least {
        assumptions.push(format!(
            "{} is the least that there can have been: some devices had no row of their own, and a device costs \
             less than this if there were more",
            usage.devices
        ));
    }
    Ok(Projection { bill: Bill::of(units, prices, free_tier), assumptions })
}

fn scaled(units: u64, numerator: u128, denominator: u128) -> u128 {
    let whole = mul_div(units.into(), numerator, denominator);
    let exact = u128::from(units).checked_mul(numerator).is_some_and(|product| product % denominator == 0);
    if exact || units == 0 { whole } else { whole.saturating_add(1) }
}

fn time(millis: u64) -> String {
    match millis {
        _ if millis.is_multiple_of(86_400_000) => format!("{} days", millis / 86_400_000),
        _ => format!("{} s", millis / 1000),
    }
}

/// A length of time such as `30d`, `12h`, `90m`, `60s`, in milliseconds.
///
/// # Errors
/// It is no length of time.
pub fn duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no length of time such as 30d, 12h, 90m or 60s");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "d" => 86_400_000,
        "h" => 3_600_000,
        "m" => MINUTE,
        "s" => 1000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|millis| *millis > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Counts, Name, UsageRow};
    use crate::{Item, Switches};
    use identity::Timestamp;

    fn usage(rows: &[(Item, u64)], devices: u64, millis: u64) -> Usage {
        let row = |(item, units): &(Item, u64)| UsageRow {
            name: Name { client: "c".into(), principal: "p".into(), topic: "t".into(), item: *item },
            counts: Counts { units: *units, ..Counts::default() },
        };
        let rows = rows.iter().map(row).collect();
        Usage {
            from: Timestamp(0),
            to: Timestamp(millis),
            switches: Switches::default(),
            rows,
            devices,
            devices_at_least: false,
        }
    }

    /// 2 devices, 10 messages in a minute: 5 a device and minute; 1000 devices, a day: 5 * 1000 * 1440 = 7.2 million.
    #[test]
    fn scaling_is_the_rule_of_three() {
        let measured = usage(&[(Item::PublishIn, 10), (Item::ConnectionMinute, 4)], 2, 60_000);
        let prices = Prices::shipped("us-east-1").unwrap();
        let fleet = Fleet { devices: 1000, millis: 86_400_000 };
        let projection = project(&measured, fleet, &prices, false).unwrap();
        let line = |dimension| projection.bill.line(dimension).unwrap();
        assert_eq!(line(Dimension::Messaging).units, 7_200_000);
        assert_eq!(line(Dimension::Messaging).cost.to_cents(), "7.20");
        assert_eq!(line(Dimension::Connectivity).units, 1_440_000, "no device is connected twice");
        assert!(!projection.assumptions.iter().any(|text| text.contains("least")));
        let cut = Usage { devices_at_least: true, ..measured };
        let projection = project(&cut, fleet, &prices, false).unwrap();
        assert!(projection.assumptions.iter().any(|text| text.starts_with("2 is the least")));
        assert!(project(&usage(&[], 0, 1), fleet, &prices, false).is_err());
    }

    #[test]
    fn parts_of_units_are_started_units() {
        assert_eq!([scaled(10, 1, 3), scaled(9, 1, 3), scaled(0, 1, 3)], [4, 3, 0]);
    }

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration("30d"), Ok(2_592_000_000));
        assert_eq!(duration("90m"), Ok(5_400_000));
        for wrong in ["", "d", "3", "-1d", "0d", "1w", "é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
