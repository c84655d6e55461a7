//! Lists over the forest of thing groups: all groups, the children of one, everything below one.
//!
//! A recursive list walks the forest depth first, children by name. Its token holds the place it stopped at, so a
//! page costs what it shows and no list is ever held in memory. Parents never change, so the place is where it was as
//! long as the parent is the same; a group that is deleted between pages leaves its place among its siblings. If the
//! parent is gone too, the token is refused: a walk never ends early without a word.

use identity::{ThingGroupName, Timestamp};
use registry::thing_groups::{GROUP_CHILDREN, GROUP_MEMBERS, THING_GROUPS, thing_group_key};
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
        let place = input.next_token.as_deref().map(Place::read).transpose()?;
        let mut line = self.line_to(top, place.as_ref(), now).await?;
        let mut names = Vec::new();
        for _ in 0..LOOKED_AT {
            let mut next = line.clone();
            if !self.go_on(&mut next, now).await? {
                return Ok((names, None));
            }
            if names.len() == size {
                break;
            }
            line = next;
            names.extend(line.last().filter(|name| begins_as_asked(name, input)).cloned());
        }
        Ok((names, Some(self.place(&line, String::new(), now).await?.write())))
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
        let place = input.next_token.as_deref().map(Place::read).transpose()?;
        let mut line = self.line_to(top, place.as_ref(), now).await?;
        let recursive = input.recursive.unwrap_or(false);
        if !recursive && line.len() > 1 {
            return Err(bad_token());
        }
        let (mut after, mut things) = (place.map(|place| place.thing).unwrap_or_default(), Vec::new());
        for _ in 0..LOOKED_AT {
            let group = line.last().map(String::as_str).unwrap_or_default();
            if self.members_from((group, &mut after), size, &mut things, now).await? {
                break;
            }
            if !(recursive && self.go_on(&mut line, now).await?) {
                return Ok(ListThingsInThingGroupResponse { next_token: None, things: Some(things) });
            }
            after.clear();
        }
        let next_token = Some(self.place(&line, after, now).await?.write());
        Ok(ListThingsInThingGroupResponse { next_token, things: Some(things) })
    }

    /// Adds a group's members after one (empty: from the first), up to the size of a page, and moves on to the last of
    /// them. `true`: there are more.
    async fn members_from(
        &self,
        (group, last): (&str, &mut String),
        size: usize,
        things: &mut Vec<String>,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let prefix = Key::of(&[group]);
        let after = (!last.is_empty()).then(|| prefix.then(last));
        let room = size.saturating_sub(things.len());
        let rows = self.records.scan(&GROUP_MEMBERS, &prefix, after.as_ref(), (room + 1, now)).await?;
        let has_more = rows.len() > room;
        for name in rows.iter().take(room).filter_map(|row| row.key.parts().pop()) {
            last.clone_from(&name);
            things.push(name);
        }
        Ok(has_more)
    }

    /// Moves a line, the names from the top of a walk down to where it is, to the next group of the walk: the first
    /// child of its last, else the next sibling of that or of an ancestor below the top. `false`: the walk is over.
    async fn go_on(&self, line: &mut Vec<String>, now: Timestamp) -> Result<bool, ApiError> {
        let Some(last) = line.last() else { return Ok(false) };
        if let Some(child) = self.child_after(last, None, now).await? {
            line.push(child);
            return Ok(true);
        }
        while let Some(own) = line.pop() {
            let Some(parent) = line.last() else { break };
            if let Some(sibling) = self.child_after(parent, Some(&own), now).await? {
                line.push(sibling);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The line from the top of a walk to where it begins or, with a token, goes on.
    ///
    /// A token is what the caller says it is: it leads nowhere but below the group that the caller named, and may see.
    async fn line_to(
        &self,
        top: &str,
        place: Option<&Place>,
        now: Timestamp,
    ) -> Result<Vec<String>, ApiError> {
        let Some(place) = place.filter(|place| !place.is_top(top)) else { return Ok(vec![top.to_owned()]) };
        let parent = self.records.get(&THING_GROUPS, &thing_group_key(&place.parent), now).await?;
        let parent = parent.filter(|it| it.value.id == place.parent_id).ok_or_else(bad_token)?.value;
        let group = self.records.get(&THING_GROUPS, &thing_group_key(&place.group), now).await?;
        if group.is_some_and(|group| group.value.parent.as_ref() != Some(&parent.name)) {
            return Err(bad_token());
        }
        let mut line: Vec<String> = parent.ancestors_of_child().iter().map(ToString::to_string).collect();
        let height = line.iter().position(|name| name == top).ok_or_else(bad_token)?;
        line.truncate(height + 1);
        line.reverse();
        line.push(place.group.clone());
        Ok(line)
    }

    /// The place at the end of a line.
    async fn place(&self, line: &[String], thing: String, now: Timestamp) -> Result<Place, ApiError> {
        let [.., parent, group] = line else {
            let group = line.first().cloned().unwrap_or_default();
            return Ok(Place { parent: String::new(), parent_id: String::new(), group, thing });
        };
        let stored = self.records.get(&THING_GROUPS, &thing_group_key(parent), now).await?;
        let parent_id = stored.map(|it| it.value.id).unwrap_or_default();
        Ok(Place { parent: parent.clone(), parent_id, group: group.clone(), thing })
    }

    async fn child_after(
        &self,
        parent: &str,
        after: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let prefix = Key::of(&[parent]);
        let after = after.map(|after| prefix.then(after));
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
    /// Empty for the top of the walk.
    parent: String,
    /// Another group of the parent's name may be anywhere.
    parent_id: String,
    group: String,
    /// Empty: before the first.
    thing: String,
}

impl Place {
    fn is_top(&self, top: &str) -> bool {
        self.parent.is_empty() && self.group == top
    }

    fn write(&self) -> String {
        let parts = ["walk", &self.parent, &self.parent_id, &self.group, &self.thing];
        page::write(Key::of(&parts).as_bytes())
    }

    fn read(token: &str) -> Result<Self, ApiError> {
        let parts = Key::from(bytes::Bytes::from(page::read(token)?)).parts();
        match <[String; 5]>::try_from(parts) {
            Ok([walk, parent, parent_id, group, thing])
                if walk == "walk" && is_name(&group) && (parent.is_empty() || is_name(&parent)) =>
            {
                Ok(Self { parent, parent_id, group, thing })
            }
            _ => Err(bad_token()),
        }
    }
}

fn is_name(text: &str) -> bool {
    ThingGroupName::new(text).is_ok()
}

fn begins_as_asked(name: &str, input: &ListThingGroupsRequest) -> bool {
    input.name_prefix_filter.as_deref().is_none_or(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests;
