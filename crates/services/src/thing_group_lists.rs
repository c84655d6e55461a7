//! Lists over the forest of thing groups: all groups, the children of one, everything below one.
//!
//! A recursive list walks the forest depth first, children by name. Its token holds the place it stopped at, so a
//! page costs what it shows and no list is ever held in memory; a group that is deleted between pages ends the walk
//! below its last known place only.

use identity::{ThingGroupName, Timestamp};
use registry::thing_groups::{GROUP_CHILDREN, GROUP_MEMBERS, THING_GROUPS, child_key, thing_group_key};
use store::Key;

use crate::page::{self, Page, bad_token};
use crate::shapes::{
    GroupNameAndArn, ListThingGroupsRequest, ListThingGroupsResponse, ListThingsInThingGroupRequest,
    ListThingsInThingGroupResponse,
};
use crate::{ApiError, Services};

/// How many groups one page looks at; it may hold fewer than asked for, and leads on.
const LOOKED_AT: usize = 1_000;

impl Services {
    /// `ListThingGroups`: all groups, or those below a parent; only the nearest if `recursive` is false; only those
    /// whose names begin in some way.
    ///
    /// # Errors
    /// ResourceNotFound for the parent, InvalidRequest for a bad token.
    pub async fn list_thing_groups(
        &self,
        input: ListThingGroupsRequest,
        now: Timestamp,
    ) -> Result<ListThingGroupsResponse, ApiError> {
        if let Some(parent) = &input.parent_group {
            self.thing_group(parent, now).await?;
        }
        let (names, next_token) = match (&input.parent_group, input.recursive.unwrap_or(true)) {
            (None, true) => self.all_groups(&input, now).await?,
            (parent, false) => self.children_page(parent.as_deref(), &input, now).await?,
            (Some(parent), true) => self.groups_below(parent, &input, now).await?,
        };
        let rows: Vec<GroupNameAndArn> = names.iter().map(|name| self.group_row(name)).collect();
        Ok(ListThingGroupsResponse { next_token, thing_groups: Some(rows) })
    }

    async fn all_groups(
        &self,
        input: &ListThingGroupsRequest,
        now: Timestamp,
    ) -> Result<(Vec<String>, Option<String>), ApiError> {
        let page = Page::token(&Key::EMPTY, input.next_token.as_deref(), input.max_results)?;
        let mut walk = Filtered::new(&page, input);
        loop {
            let rows = self
                .records
                .scan(&THING_GROUPS, &Key::EMPTY, walk.after.as_ref(), (page.scan_limit(), now))
                .await?;
            let is_end = rows.len() < page.scan_limit();
            if let Some(done) = walk.take(rows.into_iter().map(|row| row.key), is_end) {
                return Ok(done);
            }
        }
    }

    async fn children_page(
        &self,
        parent: Option<&str>,
        input: &ListThingGroupsRequest,
        now: Timestamp,
    ) -> Result<(Vec<String>, Option<String>), ApiError> {
        let prefix = Key::of(&[parent.unwrap_or_default()]);
        let page = Page::token(&prefix, input.next_token.as_deref(), input.max_results)?;
        let mut walk = Filtered::new(&page, input);
        loop {
            let rows = self
                .records
                .scan(&GROUP_CHILDREN, &prefix, walk.after.as_ref(), (page.scan_limit(), now))
                .await?;
            let is_end = rows.len() < page.scan_limit();
            if let Some(done) = walk.take(rows.into_iter().map(|row| row.key), is_end) {
                return Ok(done);
            }
        }
    }

    async fn groups_below(
        &self,
        top: &str,
        input: &ListThingGroupsRequest,
        now: Timestamp,
    ) -> Result<(Vec<String>, Option<String>), ApiError> {
        let size = Page::token(&Key::EMPTY, None, input.max_results)?.size;
        let mut at = match &input.next_token {
            None => top.to_owned(),
            Some(token) => Place::read(token)?.group,
        };
        let mut names = Vec::new();
        for _ in 0..LOOKED_AT {
            let Some(next) = self.next_group(top, &at, now).await? else { return Ok((names, None)) };
            if names.len() == size {
                break;
            }
            if begins_as_asked(&next, input) {
                names.push(next.clone());
            }
            at = next;
        }
        Ok((names, Some(Place { group: at, thing: String::new() }.write())))
    }

    /// `ListThingsInThingGroup`: its things by name; then, if `recursive`, those of the groups below it.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest for a bad token.
    pub async fn list_things_in_thing_group(
        &self,
        input: ListThingsInThingGroupRequest,
        now: Timestamp,
    ) -> Result<ListThingsInThingGroupResponse, ApiError> {
        let top = &input.thing_group_name;
        self.thing_group(top, now).await?;
        let size = Page::token(&Key::EMPTY, None, input.max_results)?.size;
        let mut place = match &input.next_token {
            None => Place { group: top.clone(), thing: String::new() },
            Some(token) => Place::read(token)?,
        };
        let recursive = input.recursive.unwrap_or(false);
        if !recursive && place.group != *top {
            return Err(bad_token());
        }
        let mut things = Vec::new();
        for _ in 0..LOOKED_AT {
            if self.members_from(&mut place, size, &mut things, now).await? {
                return Ok(things_page(things, Some(place.write())));
            }
            let next = if recursive { self.next_group(top, &place.group, now).await? } else { None };
            let Some(group) = next else { return Ok(things_page(things, None)) };
            place = Place { group, thing: String::new() };
        }
        Ok(things_page(things, Some(place.write())))
    }

    /// Adds the members after a place, up to the size of a page, and moves the place. `true`: there are more.
    async fn members_from(
        &self,
        place: &mut Place,
        size: usize,
        things: &mut Vec<String>,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let prefix = Key::of(&[&place.group]);
        let after = (!place.thing.is_empty()).then(|| prefix.then(&place.thing));
        let room = size.saturating_sub(things.len());
        let rows = self.records.scan(&GROUP_MEMBERS, &prefix, after.as_ref(), (room + 1, now)).await?;
        let has_more = rows.len() > room;
        for name in rows.iter().take(room).filter_map(|row| row.key.parts().pop()) {
            place.thing.clone_from(&name);
            things.push(name);
        }
        Ok(has_more)
    }

    /// The group after `at` in the walk below `top`: its first child, else the next sibling of it or of an ancestor.
    async fn next_group(&self, top: &str, at: &str, now: Timestamp) -> Result<Option<String>, ApiError> {
        if let Some(child) = self.child_after(Some(at), None, now).await? {
            return Ok(Some(child));
        }
        let Some(group) = self.records.get(&THING_GROUPS, &thing_group_key(at), now).await? else {
            return Ok(None);
        };
        let line = group.value.ancestors.iter().map(ThingGroupName::as_str);
        let mut own = at;
        for parent in line {
            if own == top {
                return Ok(None);
            }
            if let Some(sibling) = self.child_after(Some(parent), Some(own), now).await? {
                return Ok(Some(sibling));
            }
            own = parent;
        }
        Ok(None)
    }

    async fn child_after(
        &self,
        parent: Option<&str>,
        after: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let prefix = Key::of(&[parent.unwrap_or_default()]);
        let after = after.map(|after| child_key(parent, after));
        let rows = self.records.scan(&GROUP_CHILDREN, &prefix, after.as_ref(), (1, now)).await?;
        Ok(rows.first().and_then(|row| row.key.parts().pop()))
    }
}

/// A page that fills with those names of a scan that are asked for.
struct Filtered<'a> {
    input: &'a ListThingGroupsRequest,
    size: usize,
    after: Option<Key>,
    names: Vec<String>,
    looked_at: usize,
}

impl<'a> Filtered<'a> {
    fn new(page: &Page, input: &'a ListThingGroupsRequest) -> Self {
        Self { input, size: page.size, after: page.after.clone(), names: Vec::new(), looked_at: 0 }
    }

    /// Takes what a scan found. Answers the page when it is full, when enough was looked at, or at the end.
    fn take(
        &mut self,
        keys: impl Iterator<Item = Key>,
        is_end: bool,
    ) -> Option<(Vec<String>, Option<String>)> {
        for key in keys {
            if self.names.len() == self.size || self.looked_at == LOOKED_AT {
                return Some(self.page());
            }
            self.looked_at += 1;
            let name = key.parts().pop().unwrap_or_default();
            if begins_as_asked(&name, self.input) {
                self.names.push(name);
            }
            self.after = Some(key);
        }
        is_end.then(|| (std::mem::take(&mut self.names), None))
    }

    fn page(&mut self) -> (Vec<String>, Option<String>) {
        let token = self.after.as_ref().map(|key| page::write(key.as_bytes()));
        (std::mem::take(&mut self.names), token)
    }
}

/// Where a walk stopped: in which group, after which thing.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    group: String,
    /// Empty: before the first.
    thing: String,
}

impl Place {
    fn write(&self) -> String {
        page::write(Key::of(&["walk", &self.group, &self.thing]).as_bytes())
    }

    fn read(token: &str) -> Result<Self, ApiError> {
        let parts = Key::from(bytes::Bytes::from(page::read(token)?)).parts();
        match <[String; 3]>::try_from(parts) {
            Ok([walk, group, thing]) if walk == "walk" && ThingGroupName::new(&group).is_ok() => {
                Ok(Self { group, thing })
            }
            _ => Err(bad_token()),
        }
    }
}

fn begins_as_asked(name: &str, input: &ListThingGroupsRequest) -> bool {
    input.name_prefix_filter.as_deref().is_none_or(|prefix| name.starts_with(prefix))
}

fn things_page(things: Vec<String>, next_token: Option<String>) -> ListThingsInThingGroupResponse {
    ListThingsInThingGroupResponse { next_token, things: Some(things) }
}

#[cfg(test)]
mod tests;
