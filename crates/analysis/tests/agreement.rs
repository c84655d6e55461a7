//! The long comparison: random policies from a range of seeds, and every answer held against trying all short texts.
//!
//! `THINGCORE_SEEDS=FROM..TO` chooses the range (a seed is a pair of documents and some hundred questions), so that a seed that
//! fails can be run alone. What the long runs came to stands in the README.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use desk::{analyst, cohort_of, site};
use oracle::reach::Connection;
use oracle::topics::{is_filter, matches};
use serde_json::{Value, json};
use thingcore_analysis::{Analyst, Answer, Association, Budget, Cohort, Deed, Part, TopicSet, Witness};

/// Numbers from a seed: each from the one before.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len())]
    }
}

const ARN: &str = "arn:aws:iot:us-east-1:123456789012:";
const THING: &str = "${iot:Connection.Thing.ThingName}";
const PIECES: [&str; 14] =
    ["a", "a", "b", "/", "/", "/", "*", "*", "?", "+", "#", "${iot:ClientId}", "${iot:ClientId}", THING];

fn statement(dice: &mut Dice) -> Value {
    let kinds = [
        ("iot:Connect", "client/"),
        ("iot:Publish", "topic/"),
        ("iot:RetainPublish", "topic/"),
        ("iot:Subscribe", "topicfilter/"),
        ("iot:Receive", "topic/"),
        ("iot:*", ""),
    ];
    let (action, kind) = kinds[dice.roll(kinds.len())];
    let name = |dice: &mut Dice| {
        let pieces: String = (0..1 + dice.roll(3)).map(|_| dice.pick(&PIECES)).collect();
        let share = if kind == "topicfilter/" && dice.roll(12) == 0 { "$share/g/" } else { "" };
        format!("{ARN}{kind}{share}{pieces}")
    };
    let names: Vec<String> = (0..1 + dice.roll(2)).map(|_| name(dice)).collect();
    let effect = dice.pick(&["Allow", "Allow", "Allow", "Deny"]);
    let element = dice.pick(&["Resource", "Resource", "Resource", "Resource", "Resource", "NotResource"]);
    let mut statement = json!({ "Effect": effect, "Action": action, element: names });
    if dice.roll(6) == 0 {
        let is = dice.pick(&["true", "false"]);
        statement["Condition"] = json!({ "Bool": { "iot:Connection.Thing.IsAttached": is } });
    }
    statement
}

/// Some statements, and for most actions one that is open.
fn document(dice: &mut Dice) -> Value {
    let mut statements: Vec<Value> = (0..1 + dice.roll(4)).map(|_| statement(dice)).collect();
    for (action, kind) in
        [("Connect", "client"), ("Publish", "topic"), ("Subscribe", "topicfilter"), ("Receive", "topic")]
    {
        if dice.roll(3) > 0 {
            statements.push(
                json!({ "Effect": "Allow", "Action": format!("iot:{action}"), "Resource": format!("{ARN}{kind}/*") }),
            );
        }
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The short texts, told apart once.
struct Texts {
    ids: Vec<String>,
    topics: Vec<String>,
    filters: Vec<String>,
}

impl Texts {
    fn new() -> Self {
        let all = |letters: &str, longest: usize| {
            let (mut all, mut last) = (Vec::new(), vec![String::new()]);
            for _ in 0..longest {
                last =
                    last.iter().flat_map(|text| letters.chars().map(move |c| format!("{text}{c}"))).collect();
                all.extend(last.iter().cloned());
            }
            all
        };
        let mut filters: Vec<String> = all("ab/+#", 3).into_iter().filter(|text| is_filter(text)).collect();
        filters.extend(["a", "a/+", "#"].map(|filter| format!("$share/g/{filter}")));
        let ids = ["a", "b", "+", "#", "a/b", "/", "ab"].map(str::to_owned).to_vec();
        Self { ids, topics: all("ab/", 3), filters }
    }
}

/// What one connection may do, as far as it was tried.
struct Tried<'t> {
    id: &'t str,
    publish: Vec<&'t str>,
    retain: Vec<&'t str>,
    subscribe: Vec<&'t str>,
    receive: Vec<&'t str>,
}

/// Nothing if it may not connect.
fn tried<'t>(document: &Value, id: &'t str, attached: bool, texts: &'t Texts) -> Option<Tried<'t>> {
    let documents = [document.clone()];
    let connection = Connection { documents: &documents, client_id: id, attached };
    if !connection.connects() {
        return None;
    }
    let may = |action: &str, kind: &str, of: &'t [String]| -> Vec<&'t str> {
        of.iter().map(String::as_str).filter(|name| connection.may(action, kind, name)).collect()
    };
    let publish = may("iot:Publish", "topic", &texts.topics);
    let retain =
        publish.iter().copied().filter(|t| connection.may("iot:RetainPublish", "topic", t)).collect();
    let subscribe = may("iot:Subscribe", "topicfilter", &texts.filters);
    let plain = may("iot:Receive", "topic", &texts.topics);
    let brings = |topic: &&str| subscribe.iter().any(|filter| matches(plain_filter(filter), topic, false));
    let receive = plain.into_iter().filter(brings).collect();
    Some(Tried { id, publish, retain, subscribe, receive })
}

fn plain_filter(filter: &str) -> &str {
    filter.strip_prefix("$share/g/").unwrap_or(filter)
}

impl Tried<'_> {
    fn of(&self, deed: Deed) -> &[&str] {
        match deed {
            Deed::Publish => &self.publish,
            Deed::Retain => &self.retain,
            Deed::Subscribe => &self.subscribe,
            Deed::Receive => &self.receive,
        }
    }
}

/// What the answers came to.
#[derive(Default)]
struct Count {
    yes: u64,
    no: u64,
    unknown: u64,
    /// Names of single connections that were looked for in the parts.
    names: u64,
}

impl Count {
    fn add(&mut self, answer: &Answer) {
        match answer {
            Answer::Yes(_) => self.yes += 1,
            Answer::No => self.no += 1,
            Answer::Unknown(_) => self.unknown += 1,
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { yes, no, unknown, names } = self;
        write!(f, "{yes} yes, {no} no, {unknown} unknown, {names} names")
    }
}

struct Case<'c> {
    seed: u64,
    analyst: &'c Analyst<'c>,
    texts: &'c Texts,
    /// The documents with whether their devices are attached.
    sides: [(Value, bool); 2],
}

const SETS: [&str; 9] = ["*", "a*", "a/+", "+/b", "#", "a/b", "?", "b", "/"];

fn in_set(set: &TopicSet, topic: &str) -> bool {
    match set {
        TopicSet::Filter(filter) => matches(filter, topic, false),
        TopicSet::Pattern(pattern) => match pattern.as_str() {
            "*" => true,
            "a*" => topic.starts_with('a'),
            "?" => topic.len() == 1,
            exact => exact == topic,
        },
    }
}

impl Case<'_> {
    fn cohort(&self, side: usize) -> Cohort {
        let (document, attached) = &self.sides[side];
        let mut cohort = cohort_of(std::slice::from_ref(document));
        cohort.associations = vec![if *attached { Association::Attached } else { Association::None }];
        cohort
    }

    fn fault(&self, what: &str) -> String {
        format!("seed {}: {what}\n{}\n{}", self.seed, self.sides[0].0, self.sides[1].0)
    }

    fn run(&self, dice: &mut Dice, count: &mut Count) {
        let all: [Vec<Tried<'_>>; 2] = [0, 1].map(|side| {
            let (document, attached) = &self.sides[side];
            self.texts.ids.iter().filter_map(|id| tried(document, id, *attached, self.texts)).collect()
        });
        for (side, of) in all.iter().enumerate() {
            self.one_side(side, of, dice, count);
            self.extent(side, of, count);
            let answer = self.analyst.reads(&self.cohort(side), &self.cohort(1 - side), None);
            count.add(&answer);
            self.leak(&answer, of, &all[1 - side], side);
        }
    }

    /// What all connections together, and single ones, can do.
    fn one_side(&self, side: usize, of: &[Tried<'_>], dice: &mut Dice, count: &mut Count) {
        let cohort = self.cohort(side);
        for deed in Deed::ALL {
            let set = TopicSet::parse(SETS[dice.roll(SETS.len())]);
            let set = if deed == Deed::Subscribe { TopicSet::Pattern("*".into()) } else { set };
            let answer = self.analyst.can(&cohort, deed, Some(&set));
            count.add(&answer);
            let found = of.iter().find(|one| one.of(deed).iter().any(|name| in_set(&set, name)));
            let claim = format!("{deed:?} {set} by anybody: {answer:?}, tried {:?}", found.map(|one| one.id));
            assert!(answer != Answer::No || found.is_none(), "{}", self.fault(&claim));
            self.shown(side, deed, &answer, &claim);
        }
        for one in of {
            let mut known = cohort.clone();
            known.known.insert("iot:clientid".into(), one.id.to_owned());
            for deed in Deed::ALL {
                let names = if deed == Deed::Subscribe { &self.texts.filters } else { &self.texts.topics };
                for _ in 0..3 {
                    let name = &names[dice.roll(names.len())];
                    let answer = self.analyst.can(&known, deed, Some(&TopicSet::Pattern(name.clone())));
                    count.add(&answer);
                    let may = one.of(deed).contains(&name.as_str());
                    let claim = format!("{deed:?} {name} by {:?}: {answer:?}, tried {may}", one.id);
                    assert!(answer != Answer::No || !may, "{}", self.fault(&claim));
                    // A filter that nobody tried may bring it.
                    let sure = deed != Deed::Receive;
                    assert!(!sure || !matches!(answer, Answer::Yes(_)) || may, "{}", self.fault(&claim));
                    self.shown(side, deed, &answer, &claim);
                }
            }
        }
    }

    /// The parts of what all connections together can do hold every name that was tried, and their own witnesses.
    fn extent(&self, side: usize, of: &[Tried<'_>], count: &mut Count) {
        let (cohort, attached) = (self.cohort(side), self.sides[side].1);
        for deed in Deed::ALL {
            let extent = self.analyst.extent(&cohort, deed, None);
            assert_eq!(extent.missing, None);
            for part in &extent.parts {
                count.add(&part.answer);
                self.shown(side, deed, &part.answer, &format!("{part:?}"));
                let Answer::Yes(witness) = &part.answer else { continue };
                let filters: Vec<&str> = witness.filter.iter().map(String::as_str).collect();
                let id = &witness.devices[0].client_id;
                let held = holds(deed, part, &witness.name, &filters, id, attached);
                assert!(held, "{}", self.fault(&format!("not in its own part: {part:#?}")));
            }
            for one in of {
                let names = if deed == Deed::Subscribe { &self.texts.filters } else { &self.texts.topics };
                for name in names {
                    let may = one.of(deed).contains(&name.as_str());
                    let holding = |part: &&Part| holds(deed, part, name, &one.subscribe, one.id, attached);
                    let held = extent.parts.iter().find(holding);
                    let claim =
                        format!("{deed:?} {name} by {}: tried {may}, part {held:#?} of {extent:#?}", one.id);
                    assert_eq!(held.is_some(), may, "{}", self.fault(&claim));
                    count.names += 1;
                }
            }
        }
    }

    /// A witness does what it claims.
    fn shown(&self, side: usize, deed: Deed, answer: &Answer, claim: &str) {
        let Answer::Yes(witness) = answer else { return };
        let (document, attached) = &self.sides[side];
        let documents = [document.clone()];
        let who = &witness.devices[0];
        let one = Connection { documents: &documents, client_id: &who.client_id, attached: *attached };
        let does = one.connects()
            && match deed {
                Deed::Publish => one.may("iot:Publish", "topic", &witness.name),
                Deed::Retain => {
                    one.may("iot:Publish", "topic", &witness.name)
                        && one.may("iot:RetainPublish", "topic", &witness.name)
                }
                Deed::Subscribe => one.may("iot:Subscribe", "topicfilter", &witness.name),
                Deed::Receive => gets(one, witness),
            };
        assert!(does, "{}", self.fault(claim));
    }

    fn leak(&self, answer: &Answer, reads: &[Tried<'_>], writes: &[Tried<'_>], side: usize) {
        let common = |one: &Tried<'_>, other: &Tried<'_>| {
            one.id != other.id && one.receive.iter().any(|topic| other.publish.contains(topic))
        };
        let found = reads.iter().any(|one| writes.iter().any(|other| common(one, other)));
        assert!(*answer != Answer::No || !found, "{}", self.fault("a leak that is called none"));
        let Answer::Yes(witness) = answer else { return };
        let [reader, writer] = &witness.devices[..] else { panic!() };
        assert_ne!(reader.client_id, writer.client_id);
        let documents = [0, 1].map(|of| [self.sides[of].0.clone()]);
        let [reader, writer] = [(side, reader), (1 - side, writer)].map(|(of, device)| Connection {
            documents: &documents[of],
            client_id: &device.client_id,
            attached: self.sides[of].1,
        });
        let does = reader.connects()
            && writer.connects()
            && gets(reader, witness)
            && writer.may("iot:Publish", "topic", &witness.name);
        assert!(does, "{}", self.fault(&format!("no leak: {witness:?}")));
    }
}

/// Whether a name is in a part, and, if the part has filters, one of these brings it.
fn holds(deed: Deed, part: &Part, name: &str, filters: &[&str], id: &str, attached: bool) -> bool {
    let one = |pattern: &str, text: &str, kind: &str| match pattern.strip_prefix("whole field ") {
        Some(pattern) => glob(pattern, &format!("{kind}/{text}"), id, attached),
        None => glob(pattern, text, id, attached),
    };
    let of = |pattern: &str, text: &str, kind: &str| match pattern.strip_prefix("everything but ") {
        Some(list) => !list.split(", ").any(|pattern| one(pattern, text, kind)),
        None => one(pattern, text, kind),
    };
    let kind = if deed == Deed::Subscribe { "topicfilter" } else { "topic" };
    let is = |pattern: &str, text: &str| of(pattern, text, kind);
    let through = part.through.as_ref().is_none_or(|through| {
        filters.iter().any(|filter| {
            let plain =
                filter.strip_prefix("$share/").map_or(*filter, |rest| rest.split_once('/').unwrap().1);
            matches(plain, name, false)
                && of(&through.spelled, filter, "topicfilter")
                && !through.except.iter().any(|pattern| of(pattern, filter, "topicfilter"))
        })
    });
    through && part.names.iter().all(|p| is(p, name)) && !part.except.iter().any(|p| is(p, name))
}

/// Whether a pattern with variables matches, for a client id.
fn glob(pattern: &str, text: &str, id: &str, attached: bool) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    if let Some((name, tail)) = pattern.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
        let value = match name {
            "iot:ClientId" => id,
            "iot:Connection.Thing.ThingName" if attached => id,
            "iot:Connection.Thing.ThingName" => return false,
            literal => literal,
        };
        return text.strip_prefix(value).is_some_and(|rest| glob(tail, rest, id, attached));
    }
    let tail = &pattern[first.len_utf8()..];
    let next = text.chars().next();
    let rest = next.map(|c| &text[c.len_utf8()..]);
    match first {
        '*' => glob(tail, text, id, attached) || rest.is_some_and(|rest| glob(pattern, rest, id, attached)),
        '?' => rest.is_some_and(|rest| glob(tail, rest, id, attached)),
        c => next == Some(c) && rest.is_some_and(|rest| glob(tail, rest, id, attached)),
    }
}

/// Whether a connection gets the topic through the filter of a witness.
fn gets(one: Connection<'_>, witness: &Witness) -> bool {
    let filter = witness.filter.as_deref().unwrap();
    let share = filter.strip_prefix("$share/").map(|rest| rest.split_once('/').unwrap());
    let plain = share.map_or(filter, |(_, filter)| filter);
    let shared = share
        .is_some_and(|(name, _)| one.may("iot:Receive", "topic", &format!("$share/{name}/{}", witness.name)));
    is_filter(plain)
        && matches(plain, &witness.name, false)
        && one.may("iot:Subscribe", "topicfilter", filter)
        && (shared || one.may("iot:Receive", "topic", &witness.name))
}

#[test]
fn every_answer_agrees_with_trying_all_short_texts() {
    let range = std::env::var("THINGCORE_SEEDS").unwrap_or_else(|_| "0..6".into());
    let (from, to) = range.split_once("..").expect("FROM..TO");
    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
    let (site, texts, mut count) = (site(), Texts::new(), Count::default());
    let mut analyst = analyst(&site);
    analyst.budget = Budget::new(20_000);
    let started = std::time::Instant::now();
    for seed in from..to {
        let mut dice = Dice(seed);
        let sides = [0, 1].map(|_| (document(&mut dice), dice.roll(2) == 0));
        Case { seed, analyst: &analyst, texts: &texts, sides }.run(&mut dice, &mut count);
        if (seed + 1) % 1000 == 0 {
            println!("seed {seed}: {count} in {:?}", started.elapsed());
        }
    }
    println!("seeds {range}: {count} in {:?}", started.elapsed());
    assert!(count.yes > 0 && count.no > 0 && count.unknown * 10 < count.yes + count.no, "{count}");
}
