use super::*;
use identity::Principal;
use proptest::prelude::*;

fn see(
    report: &DivergenceReport,
    at: u64,
    client_id: &str,
    divergence: Divergence,
    detail: &dyn fmt::Display,
) {
    let principal = Principal::Plain("p".into());
    let client = events::Client { client_id, principal: &principal, peer: None, version: None, standing: 0 };
    let fact =
        DivergenceObserved { divergence, client_id, client: Some(client), packet: "SUBSCRIBE", detail };
    report.observe(Timestamp(at), &fact.into());
}

#[test]
fn a_client_is_one_sentence() {
    let report = DivergenceReport::new();
    assert!(report.summary().is_empty());
    for _ in 0..3 {
        see(&report, 1500, "sensor-7", Divergence::NoQos2, &"subscribed with QoS 2");
    }
    see(&report, 2500, "sensor-7", Divergence::RetainedExactOnly, &"relies on retained through +");
    see(&report, 2000, "pump", Divergence::NoQos2, &"published with QoS 2");
    let summary = report.summary();
    assert_eq!(
        summary.to_string(),
        "pump: published with QoS 2 (no-qos2) 1x\n\
         sensor-7: subscribed with QoS 2 (no-qos2) 3x; relies on retained through + (retained-exact-only) 1x\n"
    );
    assert_eq!(summary.ids(), ["no-qos2", "retained-exact-only"]);
    report.reset();
    assert!(report.summary().is_empty());
}

#[test]
fn the_json_form_is_a_contract() {
    let report = DivergenceReport::new();
    see(&report, 1500, "c", Divergence::NoQos2, &"subscribed with QoS 2");
    let json = serde_json::to_value(report.summary()).unwrap();
    let expected = serde_json::json!({
        "clients": [{
            "clientId": "c",
            "principal": Principal::Plain("p".into()).to_string(),
            "rows": [{
                "id": "no-qos2", "count": 1, "lastSeen": 1.5, "packet": "SUBSCRIBE",
                "detail": "subscribed with QoS 2", "standard": Divergence::NoQos2.row().standard,
            }],
        }],
        "dropped": 0,
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<DivergenceSummary>(json).unwrap(), report.summary());
}

#[test]
fn it_is_bounded_and_says_what_it_left_out() {
    let report = DivergenceReport::new();
    let all = MOST_CLIENTS * 2;
    for number in 0..all {
        see(&report, 1, &number.to_string(), Divergence::NoQos2, &"x");
    }
    let summary = report.summary();
    assert!(summary.clients.len() <= MOST_CLIENTS);
    assert_eq!(summary.clients.len() as u64 + summary.dropped, all as u64);
    assert!(summary.to_string().ends_with("had no room for\n"));
    // Those that are known go on being counted.
    let known = summary.clients[0].client_id.clone();
    see(&report, 2, &known, Divergence::NoQos2, &"x");
    assert_eq!(report.summary().clients[0].rows[0].count, 2);
}

#[test]
fn rows_are_bounded_together() {
    let report = DivergenceReport::new();
    let mut seen = 0;
    for number in 0..MOST_CLIENTS {
        for divergence in Divergence::ALL.iter().take(10) {
            see(&report, 1, &number.to_string(), *divergence, &"x");
            seen += 1;
        }
    }
    let summary = report.summary();
    let rows: usize = summary.clients.iter().map(|client| client.rows.len()).sum();
    assert!(rows <= MOST_ROWS && rows as u64 + summary.dropped == seen);
}

proptest! {
    #[test]
    fn a_detail_is_cut_where_a_character_ends(parts in proptest::collection::vec("[aé字]{0,200}", 1..4)) {
        let report = DivergenceReport::new();
        let whole = parts.concat();
        see(&report, 1, "c", Divergence::NoQos2, &format_args!("{}", Parts(&parts)));
        let kept = report.summary().clients[0].rows[0].detail.clone();
        prop_assert!(whole.starts_with(&kept) && kept.len() <= MOST_DETAIL);
        prop_assert!(kept.len() == whole.len() || kept.len() > MOST_DETAIL - 4);
    }
}

struct Parts<'a>(&'a [String]);

impl fmt::Display for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| f.write_str(part))
    }
}
