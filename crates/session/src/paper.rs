//! Where outgoing packets are written: a plain buffer, or a [`Scroll`], in which large payloads stay where they are.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Payloads from this many bytes on are sent from where they are. Copying less costs no more than one slice more.
const LARGE: usize = 8 * 1024;

/// Takes bytes in their order.
pub trait Paper {
    /// What is written next is appended here.
    fn ink(&mut self) -> &mut BytesMut;

    /// True if a payload of this length is not to be copied: see [`Paper::insert`].
    fn shares(&self, bytes: usize) -> bool;

    /// A payload follows what was written.
    fn insert(&mut self, payload: &Bytes);

    /// All bytes on it.
    fn len(&self) -> usize;

    /// True if there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Copies everything.
impl Paper for BytesMut {
    fn ink(&mut self) -> &mut BytesMut {
        self
    }

    fn shares(&self, _bytes: usize) -> bool {
        false
    }

    fn insert(&mut self, payload: &Bytes) {
        self.extend_from_slice(payload);
    }

    fn len(&self) -> usize {
        Self::len(self)
    }
}

/// Bytes on their way to a link, and between them large payloads that are not copied. Bounded by whoever fills it.
#[derive(Debug, Default)]
pub struct Scroll {
    ink: BytesMut,
    /// Only while there is one: most scrolls have none.
    inserts: Option<Box<Inserts>>,
    /// The link takes one slice at a time: everything is copied.
    copies: bool,
}

#[derive(Debug, Default)]
struct Inserts {
    queue: VecDeque<Insert>,
    /// Bytes of all payloads.
    bytes: usize,
    /// Bytes of the ink that stand before the last payload.
    before_last: usize,
}

#[derive(Debug)]
struct Insert {
    /// Bytes of ink between the payload before and this one.
    after: usize,
    payload: Bytes,
}

impl Scroll {
    /// An empty one for a link that takes several slices at once, or one for a link that does not: that one copies.
    #[must_use]
    pub fn new(is_vectored: bool) -> Self {
        Self { copies: !is_vectored, ..Self::default() }
    }

    /// Exchanges the buffer of an empty scroll for another empty one, so that a thread's buffers can be lent.
    pub fn exchange(&mut self, buffer: BytesMut) -> BytesMut {
        debug_assert!(self.is_empty() && buffer.is_empty(), "bytes would be lost");
        std::mem::replace(&mut self.ink, buffer)
    }

    /// Bytes that it can take without an allocation.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ink.capacity()
    }

    /// Lists the first bytes of it, slice by slice; returns how many slices there are.
    pub fn slices<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let (mut ink, mut count) = (&self.ink[..], 0);
        let mut places = into.iter_mut();
        let mut list = |slice: &'a [u8]| {
            let place = if slice.is_empty() { None } else { places.next() };
            count += usize::from(place.is_some());
            place.into_iter().for_each(|place| *place = IoSlice::new(slice));
        };
        for Insert { after, payload } in self.inserts.iter().flat_map(|inserts| &inserts.queue) {
            let (before, rest) = ink.split_at_checked(*after).unwrap_or((ink, &[]));
            list(before);
            list(payload);
            ink = rest;
        }
        list(ink);
        count
    }

    /// The first so many bytes are gone.
    pub fn advance(&mut self, bytes: usize) {
        let mut left = bytes;
        while let Some(inserts) = &mut self.inserts {
            let Some(first) = inserts.queue.front_mut() else { break };
            let ink = first.after.min(left);
            first.after -= ink;
            inserts.before_last -= ink;
            self.ink.advance(ink);
            let taken = first.payload.len().min(left - ink);
            first.payload.advance(taken);
            inserts.bytes -= taken;
            left -= ink + taken;
            if first.after > 0 || !first.payload.is_empty() {
                return;
            }
            inserts.queue.pop_front();
            if inserts.queue.is_empty() {
                self.inserts = None;
            }
        }
        self.ink.advance(left.min(self.ink.len()));
    }

    /// Everything on it as one slice: for the last words.
    #[must_use]
    pub fn flatten(mut self) -> Bytes {
        let Some(inserts) = self.inserts.take() else { return self.ink.freeze() };
        let mut flat = BytesMut::with_capacity(self.ink.len() + inserts.bytes);
        for Insert { after, payload } in inserts.queue {
            flat.extend_from_slice(&self.ink.split_to(after.min(self.ink.len())));
            flat.extend_from_slice(&payload);
        }
        flat.extend_from_slice(&self.ink);
        flat.freeze()
    }
}

impl Paper for Scroll {
    fn ink(&mut self) -> &mut BytesMut {
        &mut self.ink
    }

    fn shares(&self, bytes: usize) -> bool {
        bytes >= LARGE && !self.copies
    }

    fn insert(&mut self, payload: &Bytes) {
        if !self.shares(payload.len()) {
            self.ink.extend_from_slice(payload);
            return;
        }
        let inserts = self.inserts.get_or_insert_default();
        let after = self.ink.len() - inserts.before_last;
        inserts.before_last = self.ink.len();
        inserts.bytes += payload.len();
        inserts.queue.push_back(Insert { after, payload: payload.clone() });
    }

    fn len(&self) -> usize {
        self.ink.len() + self.inserts.as_ref().map_or(0, |inserts| inserts.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(scroll: &Scroll, most: usize) -> Vec<u8> {
        let mut slices = vec![IoSlice::new(&[]); most];
        let count = scroll.slices(&mut slices);
        slices.iter().take(count).flat_map(|slice| slice.to_vec()).collect()
    }

    proptest! {
        #[test]
        fn it_reads_as_it_was_written_however_it_is_taken(
            moves in proptest::collection::vec((0usize..3, 0usize..20_000), 1..60), vectored in any::<bool>()
        ) {
            let (mut scroll, mut list, mut fill) = (Scroll::new(vectored), Vec::new(), 0u8);
            for (what, bytes) in moves {
                fill = fill.wrapping_add(1);
                match what {
                    0 => scroll.ink().extend_from_slice(&vec![fill; bytes / 100]),
                    1 => scroll.insert(&Bytes::from(vec![fill; bytes])),
                    _ => {
                        let gone = bytes.min(list.len());
                        scroll.advance(gone);
                        list.drain(..gone);
                    }
                }
                list.extend(vec![fill; [bytes / 100, bytes, 0][what]]);
                prop_assert_eq!((scroll.len(), scroll.is_empty()), (list.len(), list.is_empty()));
                let some = read(&scroll, 3);
                prop_assert!(!some.is_empty() || list.is_empty());
                prop_assert_eq!(&some[..], &list[..some.len()]);
                prop_assert_eq!(&read(&scroll, 200), &list);
            }
            prop_assert_eq!(&scroll.flatten()[..], &list[..]);
        }
    }

    #[test]
    fn a_large_payload_is_not_copied() {
        let (mut scroll, payload) = (Scroll::new(true), Bytes::from(vec![7; LARGE]));
        scroll.ink().extend_from_slice(b"head");
        scroll.insert(&payload);
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(scroll.slices(&mut slices), 2);
        assert_eq!(slices[1].as_ptr(), payload.as_ptr());
        scroll.advance(4 + LARGE);
        assert!(scroll.is_empty() && scroll.inserts.is_none());
    }
}
