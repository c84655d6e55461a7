//! Who subscribes to one filter: ordinary subscriptions and shared groups.
//!
//! Most filters have one subscriber, so one has its place here without an allocation of its own.

use std::sync::Arc;

use hashbrown::HashMap;
use mqtt::TopicFilter;

use crate::matches::{Matches, Route, SharedRoute, Target};

/// Chooses among the members of a shared group: the index, or `None` to deliver to nobody.
pub type Choose<'a, T> = &'a mut dyn FnMut(&[Route<T>]) -> Option<usize>;

/// How many that were left out are named.
const MOST_MISSED: usize = 16;
/// From how many on a list has an index.
const LONG: usize = 16;

/// Subscribers of one kind.
#[derive(Debug)]
enum Roster<T> {
    Nobody,
    One(Route<T>),
    Many(Box<List<T>>),
}

/// A long list has an index by id, so that a whole fleet can subscribe to one filter.
#[derive(Debug)]
struct List<T> {
    routes: Vec<Route<T>>,
    places: Option<Box<HashMap<u64, usize, foldhash::quality::RandomState>>>,
}

impl<T: Target> List<T> {
    fn place(&self, id: u64) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&id).copied(),
            None => self.routes.iter().position(|route| route.target.id() == id),
        }
    }

    fn add(&mut self, route: Route<T>) -> bool {
        if let Some(known) = self.place(route.target.id()).and_then(|at| self.routes.get_mut(at)) {
            *known = route;
            return false;
        }
        if let Some(places) = &mut self.places {
            places.insert(route.target.id(), self.routes.len());
        }
        self.routes.push(route);
        if self.places.is_none() && self.routes.len() > LONG {
            let ids = self.routes.iter().enumerate().map(|(at, route)| (route.target.id(), at));
            self.places = Some(Box::new(ids.collect()));
        }
        true
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(at) = self.place(id) else { return false };
        self.routes.swap_remove(at);
        if let Some(places) = &mut self.places {
            places.remove(&id);
            if let Some(moved) = self.routes.get(at) {
                places.insert(moved.target.id(), at);
            }
        }
        true
    }
}

impl<T: Target> Roster<T> {
    fn routes(&self) -> &[Route<T>] {
        match self {
            Self::Nobody => &[],
            Self::One(route) => std::slice::from_ref(route),
            Self::Many(list) => &list.routes,
        }
    }

    /// True if it is new, false if it replaced one.
    fn add(&mut self, route: Route<T>) -> bool {
        match self {
            Self::Nobody => *self = Self::One(route),
            Self::One(known) if known.target.id() == route.target.id() => {
                *known = route;
                return false;
            }
            Self::One(_) => {
                if let Self::One(first) = std::mem::replace(self, Self::Nobody) {
                    *self = Self::Many(Box::new(List { routes: vec![first, route], places: None }));
                }
            }
            Self::Many(list) => return list.add(route),
        }
        true
    }

    fn remove(&mut self, id: u64) -> bool {
        let gone = match self {
            Self::Nobody => return false,
            Self::One(route) => route.target.id() == id,
            Self::Many(list) => {
                let gone = list.remove(id);
                if !list.routes.is_empty() {
                    return gone;
                }
                gone
            }
        };
        if gone {
            *self = Self::Nobody;
        }
        gone
    }
}

/// A shared subscription group on one filter.
#[derive(Debug)]
struct Group<T> {
    name: Arc<str>,
    filter: Arc<str>,
    members: Roster<T>,
}

/// All that subscribes to one filter.
#[derive(Debug)]
pub(crate) struct Subscribers<T> {
    direct: Roster<T>,
    #[expect(
        clippy::box_collection,
        reason = "few filters are shared: a pointer is all that the others pay"
    )]
    groups: Option<Box<Vec<Group<T>>>>,
}

impl<T> Default for Subscribers<T> {
    fn default() -> Self {
        Self { direct: Roster::Nobody, groups: None }
    }
}

impl<T: Target> Subscribers<T> {
    fn groups(&self) -> &[Group<T>] {
        self.groups.as_ref().map_or(&[], |groups| groups.as_slice())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.direct.routes().is_empty() && self.groups.is_none()
    }

    /// True if the subscription is new, false if it replaced one.
    pub(crate) fn add(&mut self, filter: &TopicFilter, route: Route<T>) -> bool {
        let Some(name) = filter.share_name() else { return self.direct.add(route) };
        let groups = self.groups.get_or_insert_default();
        if let Some(group) = groups.iter_mut().find(|group| &*group.name == name) {
            return group.members.add(route);
        }
        groups.push(Group { name: name.into(), filter: filter.as_str().into(), members: Roster::One(route) });
        true
    }

    pub(crate) fn remove(&mut self, share: Option<&str>, id: u64) -> bool {
        let Some(name) = share else { return self.direct.remove(id) };
        let Some(groups) = &mut self.groups else { return false };
        let Some(at) = groups.iter().position(|group| &*group.name == name) else { return false };
        let Some(group) = groups.get_mut(at) else { return false };
        let gone = group.members.remove(id);
        if group.members.routes().is_empty() {
            groups.swap_remove(at);
        }
        if groups.is_empty() {
            self.groups = None;
        }
        gone
    }

    pub(crate) fn collect(&self, choose: Choose<'_, T>, out: &mut Matches<T>) {
        let direct = self.direct.routes();
        if !direct.is_empty() {
            out.lists += 1;
            out.direct.extend(direct.iter().cloned());
        }
        out.chooses |= self.groups.is_some();
        for group in self.groups() {
            let members = group.members.routes();
            if let Some(route) = choose(members).and_then(|at| members.get(at)) {
                let (share_name, filter) = (group.name.clone(), group.filter.clone());
                out.shared.push(SharedRoute { share_name, filter, route: route.clone() });
            }
        }
    }

    /// These are left out because `#` does not match its parent (hash-excludes-parent).
    pub(crate) fn miss(&self, out: &mut Matches<T>) {
        let room = MOST_MISSED.saturating_sub(out.missed.len());
        out.missed.extend(self.direct.routes().iter().take(room).cloned());
    }

    pub(crate) fn members(&self, share: &str) -> Vec<Route<T>> {
        let group = self.groups().iter().find(|group| &*group.name == share);
        group.map(|group| group.members.routes().to_vec()).unwrap_or_default()
    }
}
