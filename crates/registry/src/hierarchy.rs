//! Who may stand where in the forest of thing groups: depth, children, one group of a hierarchy per thing.
//!
//! Parents never change, so a group's record holds all its ancestors and nobody has to walk.

use identity::ThingGroupName;

use crate::{Fault, limits};

/// Whether a group can be created below a parent of this depth that has `children` already.
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

    use identity::Timestamp;

    use super::*;
    use crate::thing_groups::ThingGroupRecord;

    fn name(text: &str) -> ThingGroupName {
        ThingGroupName::new(text).unwrap()
    }

    fn record(own: &str, parent: Option<&ThingGroupRecord>) -> ThingGroupRecord {
        ThingGroupRecord {
            name: name(own),
            id: own.to_owned(),
            parent: parent.map(|parent| parent.name.clone()),
            ancestors: parent.map(ThingGroupRecord::ancestors_of_child).unwrap_or_default(),
            description: None,
            attributes: BTreeMap::new(),
            version: 1,
            created: Timestamp(0),
            closing: false,
            emptying: false,
        }
    }

    #[test]
    fn a_group_knows_its_ancestors() {
        let root = record("a", None);
        let leaf = record("c", Some(&record("b", Some(&root))));
        assert_eq!(leaf.ancestors, [name("b"), name("a")]);
        assert_eq!((leaf.root(), leaf.depth()), (&name("a"), 3));
        assert_eq!((root.root(), root.depth()), (&name("a"), 1));
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
