//! Wildcard filters by their shape: how many levels, which of them are `+`, and whether a `#` follows. A fleet has a
//! hundred thousand filters of a handful of shapes, so a topic is looked up once for each shape, whatever their number.

use mqtt::TopicFilter;

use crate::levels::{Levels, Seed};
use crate::matches::{Matches, Route, Target};
use crate::shelf::Shelf;
use crate::subscribers::{Choose, Subscribers};

/// Levels that a shape can have: filters with more are for the trie.
const DEEPEST: usize = 32;
/// Hash tables of one shape: the more there are, the less has to be moved when one of them grows.
const SHELVES: usize = 64;

/// Where a filter's wildcards are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// Levels without the `#`.
    depth: u8,
    /// The levels that are `+`, a bit each.
    plus: u32,
    /// A `#` follows.
    hash: bool,
}

impl Shape {
    /// The shape of a filter, and its path: what stands before the `#`. `None` if it has more levels than a shape.
    pub(crate) fn of(filter: &str) -> Option<(Self, &str)> {
        let (path, hash) = match filter {
            "#" => return Some((Self { depth: 0, plus: 0, hash: true }, "")),
            _ => filter.strip_suffix("/#").map_or((filter, false), |path| (path, true)),
        };
        let (mut depth, mut plus) = (0, 0);
        for level in path.as_bytes().split(|byte| *byte == b'/') {
            if usize::from(depth) == DEEPEST {
                return None;
            }
            plus |= u32::from(level == b"+") << depth;
            depth += 1;
        }
        Some((Self { depth, plus, hash }, path))
    }

    const fn depth(self) -> usize {
        self.depth as usize
    }

    /// What a filter of this shape that matches these levels is found by.
    fn key(self, levels: &Levels<'_>) -> u64 {
        let (mut key, mut plus) = (levels.path(self.depth()), self.plus);
        while plus != 0 {
            key ^= levels.hash(plus.trailing_zeros() as usize);
            plus &= plus - 1;
        }
        key
    }

    /// Whether the literal levels of a filter of this shape are those of the topic, which has no fewer. Both are walked
    /// from one `+` to the next; between those they have to be the same text.
    fn agrees(self, filter: &str, topic: &Levels<'_>) -> bool {
        let (filter, text) = (filter.as_bytes(), topic.text.as_bytes());
        let (mut at, mut level) = (0, 0);
        while level < self.depth() {
            let next = level + ((self.plus >> level).trailing_zeros() as usize).min(self.depth() - level);
            if next > level {
                let start = topic.start(level);
                let Some(wanted) = (topic.start(next) - 1).checked_sub(start) else { return false };
                let same = filter.get(at..at + wanted) == text.get(start..start + wanted);
                if !same || filter.get(at + wanted).is_some_and(|byte| *byte != b'/') {
                    return false;
                }
                at += wanted + 1;
            }
            at += "+/".len();
            level = next + 1;
        }
        true
    }
}

/// All filters of one shape.
#[derive(Debug)]
struct Drawer<T> {
    shape: Shape,
    filters: usize,
    shelves: Box<[Shelf<T>]>,
}

impl<T: Target> Drawer<T> {
    fn new(shape: Shape) -> Self {
        Self { shape, filters: 0, shelves: (0..SHELVES).map(|_| Shelf::default()).collect() }
    }

    fn matching(&self, topic: &Levels<'_>) -> Option<&Subscribers<T>> {
        let key = self.shape.key(topic);
        self.shelves.get(shelf_of(key))?.find(key, |filter| self.shape.agrees(filter, topic))
    }
}

/// Which of a shape's shelves: by bits that the shelf itself does not look at.
const fn shelf_of(key: u64) -> usize {
    (key >> 40) as usize % SHELVES
}

/// A filter of some shape: the filter, its shape and its path.
pub(crate) type Shaped<'a> = (&'a TopicFilter, Shape, &'a str);

/// Filters by shape, as many shapes as there may be.
#[derive(Debug)]
pub(crate) struct Shapes<T> {
    drawers: Vec<Drawer<T>>,
    most: usize,
}

impl<T: Target> Shapes<T> {
    pub(crate) const fn new(most: usize) -> Self {
        Self { drawers: Vec::new(), most }
    }

    pub(crate) fn has(&self, shape: Shape) -> bool {
        self.drawers.iter().any(|drawer| drawer.shape == shape)
    }

    /// True if there is room for one more shape.
    pub(crate) fn has_room(&self) -> bool {
        self.drawers.len() < self.most
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.drawers.is_empty()
    }

    /// Adds a subscription. True if it is new, false if it replaced one. The shape is made if it is not there: the caller
    /// knows that there is room for it.
    pub(crate) fn add(&mut self, (filter, shape, path): Shaped<'_>, route: Route<T>, seed: &Seed) -> bool {
        let at = self.drawers.iter().position(|drawer| drawer.shape == shape).unwrap_or_else(|| {
            self.drawers.push(Drawer::new(shape));
            self.drawers.len() - 1
        });
        let Some(drawer) = self.drawers.get_mut(at) else { return false };
        let key = shape.key(&Levels::of(path, seed));
        let Some(shelf) = drawer.shelves.get_mut(shelf_of(key)) else { return false };
        let (first, new) = shelf.add(key, filter, route);
        drawer.filters += usize::from(first);
        new
    }

    /// The subscribers of a filter, if there are any.
    pub(crate) fn find(&self, (filter, shape, path): Shaped<'_>, seed: &Seed) -> Option<&Subscribers<T>> {
        let drawer = self.drawers.iter().find(|drawer| drawer.shape == shape)?;
        let key = shape.key(&Levels::of(path, seed));
        drawer.shelves.get(shelf_of(key))?.find(key, |known| known == filter.matcher())
    }

    /// True if there was one. A filter without subscribers goes, and so does a shape without filters.
    pub(crate) fn remove(&mut self, (filter, shape, path): Shaped<'_>, id: u64, seed: &Seed) -> bool {
        let Some(at) = self.drawers.iter().position(|drawer| drawer.shape == shape) else { return false };
        let Some(drawer) = self.drawers.get_mut(at) else { return false };
        let key = shape.key(&Levels::of(path, seed));
        let Some(shelf) = drawer.shelves.get_mut(shelf_of(key)) else { return false };
        let (last, gone) = shelf.remove(key, filter, id);
        drawer.filters -= usize::from(last);
        if drawer.filters == 0 {
            self.drawers.swap_remove(at);
        }
        gone
    }

    /// All that a topic goes to.
    pub(crate) fn collect(
        &self,
        topic: &Levels<'_>,
        hash_matches_parent: bool,
        choose: Choose<'_, T>,
        out: &mut Matches<T>,
    ) {
        // [MQTT-4.7.2-1] a filter that starts with a wildcard does not match a topic that starts with $.
        let reserved = topic.text.starts_with('$');
        for drawer in &self.drawers {
            let Shape { plus, hash, .. } = drawer.shape;
            let depth = drawer.shape.depth();
            let parent = hash && depth == topic.len();
            if depth > topic.len()
                || (depth < topic.len() && !hash)
                || (reserved && (plus & 1 == 1 || depth == 0))
            {
                continue;
            }
            let Some(found) = drawer.matching(topic) else { continue };
            match parent && !hash_matches_parent {
                true => found.miss(out),
                false => found.collect(choose, out),
            }
        }
    }
}
