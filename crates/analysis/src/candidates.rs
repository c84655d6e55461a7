//! Concrete values to try for the variables of a question.

use std::collections::BTreeMap;

use crate::cohort::{CLIENT_ID, THING_NAME};
use crate::search::Found;
use crate::witness::LONGEST_CLIENT_ID;
use crate::world::World;

type Values = BTreeMap<String, String>;

/// So many sets of values are tried at most for one find.
const MOST: usize = 24;
/// So many values of each variable.
const EACH: usize = 4;

/// Sets of values, one for each device; the most readable first.
pub(crate) fn candidates(world: &World<'_>, found: &Found, differ: &[String]) -> Vec<Vec<Values>> {
    let options: Vec<Vec<(String, Vec<String>)>> =
        (0..world.devices.len()).map(|device| device_options(world, found, device)).collect();
    let mut all: Vec<Vec<Values>> = Vec::new();
    for round in 0..MOST {
        let mut set: Vec<Values> = Vec::new();
        for (device, options) in options.iter().enumerate() {
            // The first device changes slowly, the second fast.
            let step = if device == 0 { round / EACH } else { round % EACH + round / EACH };
            let chosen = if world.same { set.first().cloned() } else { None };
            set.push(chosen.unwrap_or_else(|| choose(options, step, set.first(), differ)));
        }
        if !all.contains(&set) {
            all.push(set);
        }
    }
    all
}

/// One value for each variable; for those that differ, another than the first device has.
fn choose(
    options: &[(String, Vec<String>)],
    step: usize,
    first: Option<&Values>,
    differ: &[String],
) -> Values {
    let mut chosen = Values::new();
    for (name, values) in options {
        let taken = first.filter(|_| {
            matches!(name.as_str(), CLIENT_ID | THING_NAME | "iot:certificateid") || differ.contains(name)
        });
        let free = |value: &&String| taken.is_none_or(|first| first.get(name) != Some(*value));
        let free: Vec<&String> = values.iter().filter(free).collect();
        if let Some(value) = free.get(step % free.len().max(1)) {
            chosen.insert(name.clone(), (*value).clone());
        }
    }
    chosen
}

fn device_options(world: &World<'_>, found: &Found, device: usize) -> Vec<(String, Vec<String>)> {
    let mut options = Vec::new();
    for (index, variable) in world.variables.iter().enumerate().filter(|(_, v)| v.device == device) {
        let mut values = Vec::new();
        let seen = found.values.iter().filter(|(number, _)| usize::from(*number) == index);
        let seen = seen.map(|(_, value)| value.clone());
        let short = world
            .languages
            .get(index)
            .map(|language| language.shortest(&world.letters, 4, LONGEST_CLIENT_ID));
        values.extend(readable(&variable.canonical, device));
        values.extend(seen);
        values.extend(short.unwrap_or_default());
        values.extend(from_conditions(world, device, &variable.canonical));
        let mut kept: Vec<String> = Vec::new();
        for value in values {
            if !kept.contains(&value) {
                kept.push(value);
            }
        }
        options.push((variable.canonical.clone(), kept));
    }
    options
}

/// Values that a person likes to read.
fn readable(name: &str, device: usize) -> Vec<String> {
    let letter = if device == 0 { "a" } else { "b" };
    match name {
        CLIENT_ID if device == 0 => ["device-a", "+", "#", "device-b/x"].map(str::to_owned).to_vec(),
        CLIENT_ID => vec![format!("device-{letter}")],
        THING_NAME => vec![format!("thing-{letter}")],
        "iot:certificateid" => vec![letter.repeat(64)],
        "aws:sourceip" => vec!["192.0.2.1".into()],
        "iot:domainname" => vec!["iot.example.com".into()],
        _ => Vec::new(),
    }
}

/// What conditions compare a variable with.
fn from_conditions(world: &World<'_>, device: usize, canonical: &str) -> Vec<String> {
    let Some(device) = world.devices.get(device) else { return Vec::new() };
    let statements = device.documents.iter().flat_map(|document| document.views());
    let conditions = statements.flat_map(|statement| statement.conditions());
    let about = conditions.filter(|condition| condition.key().canonical() == canonical);
    about.flat_map(|c| c.values().map(|v| v.replace(['*', '?'], "x")).collect::<Vec<_>>()).take(4).collect()
}
