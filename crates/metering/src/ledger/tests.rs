//! The ledger alone: what it keeps, and what it continues.

use super::*;
use events::{Acknowledged, Client, Observer};
use identity::Principal;

fn acknowledge(meter: &Meter, client: &str) {
    let principal = Principal::Plain("p".into());
    let client = Client { client_id: client, principal: &principal, peer: None, version: None, standing: 0 };
    meter.observe(Timestamp(0), &Acknowledged { client, packet_id: 1, bytes: 0 }.into());
}

fn units(usage: &Usage) -> u64 {
    usage.rows.iter().map(|row| row.counts.units).sum()
}

#[test]
fn a_past_minute_keeps_its_heaviest_rows_and_its_sums() {
    let meter = Meter::new(1024, 2);
    let mut ledger = Ledger::new(Switches::default(), Timestamp(HOUR));
    for client in 0..MOST_KEPT + 50 {
        let times = if client == 7 { 5 } else { 1 };
        (0..times).for_each(|_| acknowledge(&meter, &format!("c{client}")));
    }
    ledger.read(&meter, Timestamp(HOUR + 500));
    assert_eq!(units(&ledger.usage(Span::Minute)), MOST_KEPT as u64 + 54);
    let records = ledger.read(&meter, Timestamp(HOUR + MINUTE));
    let Some(Record::Minute(period)) = records.first() else { panic!("{records:?}") };
    assert_eq!(period.rows.len(), MOST_KEPT + 1);
    let kept = &ledger.minutes[0].rows;
    assert_eq!(kept.size(), 12 * period.rows.len(), "a day of minutes has to fit into 5 MB");
    assert_eq!(units(&ledger.usage(Span::Minute)), 0);
    let past = ledger.usage(Span::Between(Timestamp(HOUR), Timestamp(HOUR + MINUTE)));
    assert_eq!((units(&past), past.rows[0].counts.units), (MOST_KEPT as u64 + 54, 50));
    assert!(past.rows[0].name.client == OTHERS && past.rows[1].name.client == "c7");
    let later = ledger.usage(Span::Between(Timestamp(HOUR + MINUTE), Timestamp::NEVER));
    assert_eq!(units(&later), 0);
}

#[test]
fn devices_of_a_past_minute_are_counted_beyond_the_rows_that_are_kept() {
    let meter = Meter::new(1024, 2);
    let mut ledger = Ledger::new(Switches::default(), Timestamp(HOUR));
    let principal = Principal::Plain("p".into());
    let many = MOST_KEPT as u64 + 100;
    for number in 0..many {
        let (name, identifier) = (format!("c{number}"), format!("s{number}"));
        let client =
            Client { client_id: &name, principal: &principal, peer: None, version: None, standing: 0 };
        let (session_identifier, bytes) = (identifier.as_str(), 0);
        let (keep_alive, session_expiry, clean, session_present) = (30, 0, true, false);
        let connected = events::Connected {
            thing_name: "",
            client,
            keep_alive,
            session_expiry,
            clean,
            session_present,
            session_identifier,
            bytes,
        };
        meter.observe(Timestamp(HOUR), &connected.into());
    }
    ledger.read(&meter, Timestamp(HOUR + 1));
    let all = ledger.usage(Span::All);
    assert_eq!((all.devices, all.devices_at_least), (many, false));
    ledger.read(&meter, Timestamp(HOUR + MINUTE));
    let past = |ledger: &Ledger| ledger.usage(Span::Between(Timestamp(HOUR), Timestamp(HOUR + MINUTE)));
    assert_eq!((past(&ledger).devices, past(&ledger).devices_at_least), (many, true));
    let again = Meter::new(1024, 2);
    let text = crate::written_records(&ledger.whole());
    let records = crate::read_records(text.as_bytes()).unwrap();
    let restored = Ledger::restore(&again, Switches::default(), records, Timestamp(2 * HOUR));
    assert_eq!(past(&restored).devices, many);
}

#[test]
fn minutes_that_are_gone_are_told_by_hours() {
    let meter = Meter::new(1024, 2);
    let mut ledger = Ledger::new(Switches::default(), Timestamp(0));
    for minute in 0..(MINUTES as u64 + 120) {
        acknowledge(&meter, "c");
        ledger.read(&meter, Timestamp(minute * MINUTE + 1));
    }
    assert_eq!(ledger.minutes.len(), MINUTES);
    let all = ledger.usage(Span::Between(Timestamp(0), Timestamp::NEVER));
    assert_eq!(units(&all), MINUTES as u64 + 120);
    let recent = Timestamp((MINUTES as u64 + 60) * MINUTE);
    // What is read when a minute is over is the old minute's.
    assert_eq!(units(&ledger.usage(Span::Between(recent, Timestamp::NEVER))), 59);
}

#[test]
fn what_is_restored_goes_on() {
    let meter = Meter::new(1024, 2);
    let mut ledger = Ledger::new(Switches::default(), Timestamp(5));
    acknowledge(&meter, "c");
    ledger.read(&meter, Timestamp(MINUTE));
    let again = Meter::new(1024, 2);
    let mut restored = Ledger::restore(&again, Switches::default(), ledger.whole(), Timestamp(2 * MINUTE));
    acknowledge(&again, "c");
    restored.read(&again, Timestamp(2 * MINUTE + 1));
    let usage = restored.usage(Span::All);
    assert_eq!((usage.from, usage.rows.len(), units(&usage)), (Timestamp(5), 1, 2));
    assert_eq!(units(&restored.usage(Span::Minute)), 1);
}

/// The last look is torn at each byte: minutes and hours lack what the total lacks, and nothing else.
#[test]
fn wherever_the_file_ends_the_periods_add_up() {
    let (meter, switches) = (Meter::new(1024, 2), Switches::default);
    let mut ledger = Ledger::new(switches(), Timestamp(HOUR));
    let mut text = crate::written_records(&ledger.whole());
    let mut whole = 0;
    for (client, at) in [("a", 2 * HOUR - 2 * MINUTE), ("b", 2 * HOUR - MINUTE), ("c", 2 * HOUR)] {
        // Nothing is read in the last minute before the look that ends it.
        acknowledge(&meter, client);
        whole = text.len();
        text += &crate::written_records(&ledger.read(&meter, Timestamp(at)));
    }
    assert_eq!(text[whole..].lines().count(), 4, "a name, counters, a minute and an hour");
    let mut found = HashSet::new();
    for end in whole..=text.len() {
        let records = crate::read_records(&text.as_bytes()[..end]).unwrap();
        // The second time what was open comes from a fresh file.
        let once = Ledger::restore(&Meter::new(1024, 2), switches(), records, Timestamp(2 * HOUR));
        let again = Ledger::restore(&Meter::new(1024, 2), switches(), once.whole(), Timestamp(2 * HOUR));
        for ledger in [once, again] {
            let total = units(&ledger.usage(Span::All));
            let sum = |periods: &VecDeque<Past>| {
                let rows = periods.iter().flat_map(|past| past.rows.rows());
                rows.map(|(_, counts)| counts.units).sum::<u64>()
            };
            assert_eq!((sum(&ledger.minutes), sum(&ledger.hours)), (total, total), "cut at {end}");
            let last = ledger.minutes.back().map(|minute| minute.from.millis());
            assert_eq!(last, Some(2 * HOUR - if total == 3 { MINUTE } else { 2 * MINUTE }));
            assert_eq!(units(&ledger.usage(Span::Minute)), 0);
            found.insert(total);
        }
    }
    assert_eq!(found, HashSet::from([2, 3]));
}

/// As versions before wrote them: a fresh file told all counters at once, before the minutes and the hours.
#[test]
fn an_older_file_is_continued() {
    let name = |client: &str| Name { client: client.into(), ..Name::others(Item::Acknowledgement) };
    let counts = |units| Counts { units, ..Counts::default() };
    let period = |from, units| Period { from: Timestamp(from), rows: vec![(40, counts(units))], devices: 0 };
    let line = |at, units| Record::Counts { at: Timestamp(at), rows: vec![(40, counts(units))] };
    let records = vec![
        Record::Begin { since: Timestamp(5), kilobyte: 1024 },
        Record::Name { row: 40, name: name("c") },
        line(2 * HOUR + 10, 100),
        Record::Minute(period(HOUR + 30 * MINUTE, 60)),
        Record::Hour(period(HOUR, 90)),
        line(2 * HOUR + 1000, 104),
        line(2 * HOUR + MINUTE + 3, 105),
        Record::Minute(period(2 * HOUR, 5)),
        line(2 * HOUR + MINUTE + 1000, 112),
    ];
    let text = crate::written_records(&records);
    let records = crate::read_records(text.as_bytes()).unwrap();
    let now = Timestamp(2 * HOUR + MINUTE + 30_000);
    let ledger = Ledger::restore(&Meter::new(1024, 2), Switches::default(), records, now);
    assert_eq!(units(&ledger.usage(Span::All)), 112);
    assert_eq!(units(&ledger.usage(Span::Minute)), 7);
    assert_eq!(ledger.hour.rows.read().iter().map(|(_, counts)| counts.units).collect::<Vec<_>>(), [12]);
    let all = ledger.usage(Span::Between(Timestamp(0), Timestamp::NEVER));
    assert_eq!(units(&all), 60 + 5 + 7);
}

#[test]
fn a_clock_that_was_put_back_begins_a_minute_of_its_own() {
    let meter = Meter::new(1024, 2);
    let mut ledger = Ledger::new(Switches::default(), Timestamp(5 * HOUR));
    acknowledge(&meter, "c");
    ledger.read(&meter, Timestamp(5 * HOUR + 1));
    let again = Meter::new(1024, 2);
    let restored = Ledger::restore(&again, Switches::default(), ledger.whole(), Timestamp(HOUR));
    assert_eq!(units(&restored.usage(Span::Minute)), 0);
    let within = |from| units(&restored.usage(Span::Between(Timestamp(from), Timestamp::NEVER)));
    assert_eq!((within(5 * HOUR), within(5 * HOUR + MINUTE)), (1, 0));
}
