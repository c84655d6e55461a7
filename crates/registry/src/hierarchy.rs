//! Walks through the forest of thing groups, given somebody who looks groups up.

use identity::ThingGroupName;

use crate::thing_groups::ThingGroupRecord;
use crate::{Fault, limits};

/// The group and its ancestors, nearest first, as far as `lookup` knows them. Ends after [`limits::GROUP_DEPTH`]
/// groups, so a damaged store cannot send it round in circles.
pub fn chain<E>(
    group: &ThingGroupName,
    mut lookup: impl FnMut(&ThingGroupName) -> Result<Option<ThingGroupRecord>, E>,
) -> Result<Vec<ThingGroupRecord>, E> {
    let mut chain = Vec::new();
    let mut next = Some(group.clone());
    while let Some(name) = next.take() {
        let Some(record) = lookup(&name)? else { break };
        next.clone_from(&record.parent);
        chain.push(record);
        if chain.len() >= limits::GROUP_DEPTH {
            break;
        }
    }
    Ok(chain)
}

/// The root of a chain.
pub fn root(chain: &[ThingGroupRecord]) -> Option<&ThingGroupName> {
    chain.last().map(|record| &record.name)
}

/// Whether a group can be created below a parent whose chain (parent included) is this long and that has
/// `children` already.
///
/// # Errors
/// [`Fault::Invalid`]: AWS declares no limit exception for CreateThingGroup.
pub fn check_new_child(parent: &ThingGroupName, depth: usize, children: usize) -> Result<(), Fault> {
    if depth >= limits::GROUP_DEPTH {
        return Err(Fault::invalid(format!(
            "Thing group {parent} is at the maximum depth of {} and can not have children",
            limits::GROUP_DEPTH
        )));
    }
    if children >= limits::GROUP_CHILDREN {
        return Err(Fault::invalid(format!(
            "Thing group {parent} has the maximum number of {} direct children",
            limits::GROUP_CHILDREN
        )));
    }
    Ok(())
}

/// Whether a thing that is in groups with these `roots` (group, root) can join `group` below `root`.
///
/// # Errors
/// [`Fault::Invalid`] when it is in ten groups, or in another group of the same hierarchy.
pub fn check_join(
    group: &ThingGroupName,
    root: &ThingGroupName,
    present: &[(ThingGroupName, ThingGroupName)],
) -> Result<(), Fault> {
    if present.iter().any(|(other, _)| other == group) {
        return Ok(());
    }
    if let Some((other, _)) = present.iter().find(|(_, other_root)| other_root == root) {
        return Err(Fault::invalid(format!(
            "The thing is in thing group {other}, which is in the same hierarchy as thing group {group}"
        )));
    }
    if present.len() >= limits::GROUPS_PER_THING {
        return Err(Fault::invalid(format!(
            "The thing is in {} thing groups, which is the limit",
            limits::GROUPS_PER_THING
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use identity::Timestamp;

    use super::*;

    fn name(text: &str) -> ThingGroupName {
        ThingGroupName::new(text).unwrap()
    }

    fn record(own: &str, parent: Option<&str>) -> ThingGroupRecord {
        ThingGroupRecord {
            name: name(own),
            id: own.to_owned(),
            parent: parent.map(name),
            description: None,
            attributes: BTreeMap::new(),
            version: 1,
            created: Timestamp(0),
            closing: false,
        }
    }

    #[test]
    fn a_chain_goes_to_the_root_and_never_in_circles() {
        let groups =
            [record("a", None), record("b", Some("a")), record("c", Some("b")), record("x", Some("x"))];
        let lookup = |wanted: &ThingGroupName| {
            Ok::<_, Infallible>(groups.iter().find(|group| group.name == *wanted).cloned())
        };
        let chain_of_c = chain(&name("c"), lookup).unwrap();
        assert_eq!(chain_of_c.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
        assert_eq!(root(&chain_of_c), Some(&name("a")));
        assert_eq!(chain(&name("x"), lookup).unwrap().len(), limits::GROUP_DEPTH);
        assert!(chain(&name("nobody"), lookup).unwrap().is_empty());
    }

    #[test]
    fn children_are_limited_in_depth_and_number() {
        assert_eq!(check_new_child(&name("p"), 6, 99), Ok(()));
        assert!(check_new_child(&name("p"), 7, 0).is_err());
        assert!(check_new_child(&name("p"), 1, 100).is_err());
    }

    #[test]
    fn one_group_per_hierarchy_and_ten_in_all() {
        let present: Vec<_> = (0..9).map(|i| (name(&format!("g{i}")), name(&format!("r{i}")))).collect();
        assert_eq!(check_join(&name("new"), &name("rn"), &present), Ok(()));
        assert_eq!(check_join(&name("g3"), &name("r3"), &present), Ok(()));
        assert!(check_join(&name("other"), &name("r3"), &present).is_err());
        let mut full = present;
        full.push((name("g9"), name("r9")));
        assert!(check_join(&name("new"), &name("rn"), &full).is_err());
        assert_eq!(check_join(&name("g9"), &name("r9"), &full), Ok(()));
    }
}
