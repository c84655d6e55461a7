//! A trie of wildcard filters, for those that have no place by their shape: a node a level, with own places for `+` and `#`.
//!
//! Nothing here recurses: a hostile filter's depth costs heap, not stack.

use hashbrown::HashMap;
use mqtt::MatchRules;
use smallvec::SmallVec;

use crate::matches::{Matches, Target};
use crate::subscribers::{Choose, Subscribers};

type Children = HashMap<Box<str>, usize, foldhash::quality::RandomState>;

#[derive(Debug)]
struct Node<T> {
    parent: usize,
    label: Box<str>,
    children: Children,
    plus: Option<usize>,
    here: Subscribers<T>,
    hash: Subscribers<T>,
}

impl<T: Target> Node<T> {
    fn new(parent: usize, label: &str) -> Self {
        Self {
            parent,
            label: label.into(),
            children: Children::default(),
            plus: None,
            here: Subscribers::default(),
            hash: Subscribers::default(),
        }
    }

    fn is_idle(&self) -> bool {
        self.children.is_empty() && self.plus.is_none() && self.here.is_empty() && self.hash.is_empty()
    }
}

/// Nodes in one arena; node 0 is the root and is never removed.
#[derive(Debug)]
pub(crate) struct Trie<T> {
    nodes: Vec<Option<Node<T>>>,
    free: Vec<usize>,
    rules: MatchRules,
    /// What [`Trie::at`] answers when the arena is inconsistent, which it never is.
    stray: Subscribers<T>,
}

const ROOT: usize = 0;

impl<T: Target> Trie<T> {
    pub(crate) fn new(rules: MatchRules) -> Self {
        Self {
            nodes: vec![Some(Node::new(ROOT, ""))],
            free: Vec::new(),
            rules,
            stray: Subscribers::default(),
        }
    }

    fn node(&self, at: usize) -> Option<&Node<T>> {
        self.nodes.get(at).and_then(Option::as_ref)
    }

    fn node_mut(&mut self, at: usize) -> Option<&mut Node<T>> {
        self.nodes.get_mut(at).and_then(Option::as_mut)
    }

    fn child(&self, at: usize, level: &str) -> Option<usize> {
        let node = self.node(at)?;
        if level == "+" { node.plus } else { node.children.get(level).copied() }
    }

    fn add_child(&mut self, parent: usize, level: &str) -> usize {
        let node = Some(Node::new(parent, level));
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(slot) = self.nodes.get_mut(at) {
                    *slot = node;
                }
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        if let Some(parent) = self.node_mut(parent) {
            if level == "+" {
                parent.plus = Some(at);
            } else {
                parent.children.insert(level.into(), at);
            }
        }
        at
    }

    /// The subscribers of a filter, made if there are none.
    pub(crate) fn at(&mut self, filter: &str) -> &mut Subscribers<T> {
        let (path, ends_with_hash) = split(filter);
        let mut at = ROOT;
        for level in path {
            at = match self.child(at, level) {
                Some(next) => next,
                None => self.add_child(at, level),
            };
        }
        match self.nodes.get_mut(at).and_then(Option::as_mut) {
            Some(node) if ends_with_hash => &mut node.hash,
            Some(node) => &mut node.here,
            None => &mut self.stray,
        }
    }

    fn walk(&self, filter: &str) -> Option<(usize, bool)> {
        let (path, ends_with_hash) = split(filter);
        let mut at = ROOT;
        for level in path {
            at = self.child(at, level)?;
        }
        Some((at, ends_with_hash))
    }

    /// The subscribers of a filter, if there are any.
    pub(crate) fn find(&self, filter: &str) -> Option<&Subscribers<T>> {
        let (at, ends_with_hash) = self.walk(filter)?;
        let node = self.node(at)?;
        Some(if ends_with_hash { &node.hash } else { &node.here })
    }

    pub(crate) fn remove(&mut self, filter: &str, share: Option<&str>, id: u64) -> bool {
        let Some((at, ends_with_hash)) = self.walk(filter) else { return false };
        let Some(node) = self.node_mut(at) else { return false };
        let subscribers = if ends_with_hash { &mut node.hash } else { &mut node.here };
        let gone = subscribers.remove(share, id);
        self.prune(at);
        gone
    }

    /// Takes out nodes that lead nowhere, from the leaf upwards.
    fn prune(&mut self, mut at: usize) {
        while at != ROOT && self.node(at).is_some_and(Node::is_idle) {
            let Some(node) = self.nodes.get_mut(at).and_then(Option::take) else { return };
            self.free.push(at);
            at = node.parent;
            if let Some(parent) = self.node_mut(at) {
                if &*node.label == "+" {
                    parent.plus = None;
                } else {
                    parent.children.remove(&node.label);
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn live_nodes(&self) -> usize {
        self.nodes.iter().flatten().count()
    }

    pub(crate) fn collect(&self, topic: &str, choose: Choose<'_, T>, out: &mut Matches<T>) {
        let levels: SmallVec<[&str; 16]> = topic.split('/').collect();
        // [MQTT-4.7.2-1] a filter that starts with a wildcard does not match a topic that starts with $.
        let reserved = topic.starts_with('$');
        let mut pending: SmallVec<[(usize, usize); 32]> = SmallVec::new();
        pending.push((ROOT, 0));
        while let Some((at, depth)) = pending.pop() {
            let Some(node) = self.node(at) else { continue };
            let guarded = reserved && depth == 0;
            let Some(level) = levels.get(depth) else {
                node.here.collect(choose, out);
                if self.rules.hash_matches_parent {
                    node.hash.collect(choose, out);
                } else {
                    node.hash.miss(out);
                }
                continue;
            };
            if !guarded {
                node.hash.collect(choose, out);
                pending.extend(node.plus.map(|next| (next, depth + 1)));
            }
            pending.extend(node.children.get(*level).map(|next| (*next, depth + 1)));
        }
    }
}

/// The levels that make the path, and whether a `#` ends the filter.
fn split(filter: &str) -> (std::str::Split<'_, char>, bool) {
    if filter == "#" {
        let mut none = "".split('/');
        none.next();
        return (none, true);
    }
    match filter.strip_suffix("/#") {
        Some(path) => (path.split('/'), true),
        None => (filter.split('/'), false),
    }
}
