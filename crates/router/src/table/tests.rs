//! The table against the obvious: a list of filters, each asked in turn.

use mqtt::QoS;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Id(u64);

impl Target for Id {
    fn id(&self) -> u64 {
        self.0
    }
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(mqtt::Text::try_from(text).unwrap()).unwrap()
}

fn route(id: u64, qos: QoS) -> Route<Id> {
    Route {
        target: Id(id),
        qos,
        no_local: false,
        retain_as_published: false,
        identifiers: Default::default(),
    }
}

fn ids(table: &RouteTable<Id>, topic: &str) -> Vec<u64> {
    let mut out = Matches::default();
    table.matches(topic, &mut |members| members.len().checked_sub(1), &mut out);
    let mut ids: Vec<u64> = out.direct.iter().map(|r| r.target.0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn overlapping_filters_give_one_copy_at_the_highest_qos() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    table.subscribe(&filter("a/b"), route(1, QoS::AtMostOnce));
    table.subscribe(&filter("a/+"), route(1, QoS::AtLeastOnce));
    let mut out = Matches::default();
    table.matches("a/b", &mut |_| None, &mut out);
    assert_eq!(out.direct.len(), 1);
    assert_eq!(out.direct[0].qos, QoS::AtLeastOnce);
}

/// [MQTT-3.3.4-2] No Local keeps a subscription from the client's own messages only: for those of others its QoS counts.
#[test]
fn no_local_does_not_lower_the_qos_of_what_others_publish() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    table.subscribe(&filter("a/b"), route(1, QoS::AtMostOnce));
    table.subscribe(&filter("a/+"), Route { no_local: true, ..route(1, QoS::ExactlyOnce) });
    for (sender, expected) in [(2, QoS::ExactlyOnce), (1, QoS::AtMostOnce)] {
        let mut out = Matches::default();
        out.sender = sender;
        table.matches("a/b", &mut |_| None, &mut out);
        assert_eq!((out.direct.len(), out.direct[0].qos), (1, expected));
    }
}

#[test]
fn a_shared_group_gives_one_member() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    for id in 1..4 {
        table.subscribe(&filter("$share/g/a/#"), route(id, QoS::AtLeastOnce));
    }
    table.subscribe(&filter("$share/h/a/b"), route(9, QoS::AtLeastOnce));
    let mut out = Matches::default();
    table.matches("a/b", &mut |members| members.iter().position(|m| m.target.0 != 1), &mut out);
    assert_eq!(out.shared.len(), 2);
    assert_eq!(table.len(), 4);
    table.unsubscribe(&filter("$share/g/a/#"), 2);
    assert_eq!(table.len(), 3);
}

#[test]
fn a_fleet_on_one_filter_is_found_by_id() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    for filter_text in ["cmd/all", "cmd/+"] {
        for id in 0..1000 {
            assert!(table.subscribe(&filter(filter_text), route(id, QoS::AtMostOnce)));
        }
        for id in (0..1000).filter(|id| id % 3 != 0) {
            assert!(table.unsubscribe(&filter(filter_text), id));
            assert!(!table.unsubscribe(&filter(filter_text), id));
        }
        assert!(!table.subscribe(&filter(filter_text), route(999, QoS::AtLeastOnce)));
        assert_eq!(ids(&table, "cmd/all"), (0..1000).filter(|id| id % 3 == 0).collect::<Vec<_>>());
    }
}

fn level() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just("ab"), Just(""), Just("$x"), Just("+"), Just("+")]
}

fn any_filter() -> impl Strategy<Value = String> {
    (proptest::collection::vec(level(), 0..6), any::<bool>()).prop_map(|(levels, hash)| {
        let path = levels.join("/");
        match hash {
            true if levels.is_empty() => "#".to_owned(),
            true => format!("{path}/#"),
            false => path,
        }
    })
}

fn any_topic() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("ab"), Just(""), Just("$x")], 1..7)
        .prop_map(|l| l.join("/"))
}

/// What a match gives, in order: direct, chosen (the last of each group), missed.
fn told(table: &RouteTable<Id>, topic: &str) -> [Vec<(u64, String)>; 3] {
    let mut out = Matches::default();
    table.matches(topic, &mut |members| members.len().checked_sub(1), &mut out);
    let ids = |routes: &[Route<Id>]| routes.iter().map(|one| (one.target.0, String::new())).collect();
    let chosen = |one: &crate::SharedRoute<Id>| {
        let members = table.group(&filter(&one.filter));
        assert!(members.iter().any(|member| member.target == one.route.target), "chosen among others");
        (members.len() as u64, format!("{} {}", one.share_name, one.filter))
    };
    let mut told: [Vec<(u64, String)>; 3] =
        [ids(&out.direct), out.shared.iter().map(chosen).collect(), ids(&out.missed)];
    told.iter_mut().for_each(|list| list.sort_unstable());
    told
}

/// The same from a list of filters and subscribers, by what the oracle says of each.
fn expected(list: &[(String, u64)], topic: &str, hash_matches_parent: bool) -> [Vec<(u64, String)>; 3] {
    let matches = |text: &str, parent| oracle::topics::matches(filter(text).matcher(), topic, parent);
    let is_shared = |text: &str| text.starts_with("$share/");
    let (mut direct, mut missed, mut groups) = (Vec::new(), Vec::new(), Vec::<(u64, String)>::new());
    for (text, id) in list {
        if is_shared(text) && matches(text, hash_matches_parent) {
            let share = filter(text).share_name().unwrap().to_owned();
            let name = format!("{share} {text}");
            match groups.iter_mut().find(|(_, known)| *known == name) {
                Some((members, _)) => *members += 1,
                None => groups.push((1, name)),
            }
        } else if matches(text, hash_matches_parent) {
            direct.push((*id, String::new()));
        } else if !is_shared(text) && matches(text, true) {
            missed.push((*id, String::new()));
        }
    }
    direct.sort_unstable();
    direct.dedup();
    groups.sort_unstable();
    missed.sort_unstable();
    [direct, groups, missed]
}

proptest! {
    /// Whether all shapes have a place of their own, or two, or none: the others are in the trie.
    #[test]
    fn the_table_agrees_with_a_list(
        steps in proptest::collection::vec((any_filter(), 0u64..4, any::<bool>(), 0u8..4), 1..60),
        topics in proptest::collection::vec(any_topic(), 1..10),
        hash_matches_parent in any::<bool>(),
        most_shapes in prop_oneof![Just(MOST_SHAPES), Just(2), Just(0)],
    ) {
        let rules = MatchRules { hash_matches_parent };
        let table = RouteTable::with_shapes(rules, true, most_shapes);
        let mut list: Vec<(String, u64)> = Vec::new();
        for (text, id, add, share) in steps {
            if text.is_empty() {
                continue;
            }
            let text = if share < 2 { format!("$share/g{share}/{text}") } else { text };
            let known = list.iter().position(|entry| *entry == (text.clone(), id));
            if add {
                prop_assert_eq!(table.subscribe(&filter(&text), route(id, QoS::AtMostOnce)), known.is_none());
                if known.is_none() {
                    list.push((text, id));
                }
            } else {
                prop_assert_eq!(table.unsubscribe(&filter(&text), id), known.is_some());
                known.map(|at| list.swap_remove(at));
            }
            let topic = &topics[list.len() % topics.len()];
            prop_assert_eq!(told(&table, topic), expected(&list, topic, hash_matches_parent), "topic {:?}", topic);
        }
        for topic in topics {
            prop_assert_eq!(told(&table, &topic), expected(&list, &topic, hash_matches_parent), "topic {:?}", topic);
        }
        for (text, id) in list {
            prop_assert!(table.unsubscribe(&filter(&text), id));
        }
        prop_assert_eq!(table.len(), 0);
        prop_assert_eq!(table.groups(), 0);
        prop_assert!(table.wild.read().is_empty());
        prop_assert!(table.exact.iter().all(|stripe| stripe.read().is_empty()));
    }
}

/// All shapes of up to seven levels, some with two filters: more than have a place, and deeper ones than a shape can be.
#[test]
fn more_shapes_than_have_a_place_are_found_all_the_same() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    let mut list = Vec::new();
    for depth in 1..8_u64 {
        for plus in 0..1_u64 << depth {
            let level = |at: u64| if plus >> at & 1 == 1 { "+" } else { "l" };
            let path = (0..depth).map(level).collect::<Vec<_>>().join("/");
            list.extend([path.clone(), format!("{path}/#")].map(|text| (text, list.len() as u64)));
        }
    }
    let deep = vec!["l"; 40].join("/");
    list.extend([format!("{deep}/+"), format!("+/{deep}"), format!("{deep}/#")].map(|text| (text, 0)));
    for (at, entry) in list.iter_mut().enumerate() {
        entry.1 = at as u64;
        assert!(table.subscribe(&filter(&entry.0), route(entry.1, QoS::AtMostOnce)));
    }
    let topics = ["l", "l/l", "l/l/l/l", "x/l/x/l", "l/l/l/l/l/l/l", "l/l/l/l/l/l/l/l", "$l/l/l", "l//l"];
    for topic in topics.map(str::to_owned).into_iter().chain([format!("{deep}/l"), deep]) {
        let [direct, shared, missed] = expected(&list, &topic, false);
        let [found, shared_found, missed_found] = told(&table, &topic);
        assert_eq!((direct, shared), (found, shared_found), "{topic}");
        assert!(missed_found.iter().all(|one| missed.contains(one)), "{topic}");
    }
    for (text, id) in list {
        assert!(table.unsubscribe(&filter(&text), id));
    }
    assert!(table.wild.read().is_empty());
}

/// A shape whose filters went into the trie stays there until the last of them is gone: its groups are never in two places.
#[test]
fn a_group_stays_in_one_place() {
    let table = RouteTable::with_shapes(MatchRules { hash_matches_parent: false }, true, 1);
    let (first, other) = (filter("+/a"), filter("$share/g/b/+"));
    table.subscribe(&first, route(0, QoS::AtMostOnce));
    table.subscribe(&other, route(1, QoS::AtMostOnce));
    table.unsubscribe(&first, 0);
    table.subscribe(&other, route(2, QoS::AtMostOnce));
    assert_eq!(table.group(&other).len(), 2);
    assert_eq!(told(&table, "b/c")[1].len(), 1);
    assert!(table.unsubscribe(&other, 1) && table.unsubscribe(&other, 2));
    table.subscribe(&other, route(3, QoS::AtMostOnce));
    assert_eq!(told(&table, "b/c")[1].len(), 1);
}

proptest! {
    /// A buffer that is used again and again gives what a new one gives, whatever changes in between.
    #[test]
    fn what_is_remembered_is_what_would_be_found(
        steps in proptest::collection::vec((any_filter(), 0u64..40, any::<bool>(), any_topic()), 1..60),
        shares in any::<bool>(),
    ) {
        let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
        let mut kept = Matches::default();
        for (text, id, add, topic) in steps.into_iter().filter(|step| !step.0.is_empty()) {
            let text = if shares && id % 3 == 0 { format!("$share/g/{text}") } else { text };
            match add {
                true => table.subscribe(&filter(&text), route(id, QoS::AtMostOnce)),
                false => table.unsubscribe(&filter(&text), id),
            };
            for turn in 0..3u64 {
                let mut new = Matches::default();
                // Each match chooses another member.
                let mut choose = |members: &[Route<Id>]| usize::try_from(turn).unwrap().checked_rem(members.len());
                table.matches(&topic, &mut choose, &mut kept);
                table.matches(&topic, &mut choose, &mut new);
                let told = |found: &Matches<Id>| {
                    let ids = |routes: &[Route<Id>]| routes.iter().map(|r| r.target.0).collect::<Vec<_>>();
                    let shared: Vec<u64> = found.shared.iter().map(|one| one.route.target.0).collect();
                    (ids(&found.direct), shared, ids(&found.missed))
                };
                prop_assert_eq!(told(&kept), told(&new), "{} on {}", topic, turn);
                kept.release();
            }
        }
    }
}

#[test]
fn a_long_outcome_is_not_kept() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    let mut found = Matches::default();
    for id in 0..=16 {
        table.subscribe(&filter("a"), route(id, QoS::AtMostOnce));
        table.matches("a", &mut |_| None, &mut found);
        let (count, is_kept) = (found.direct.len(), id < 16);
        found.release();
        assert_eq!(found.direct.len(), if is_kept { count } else { 0 });
    }
}
