//! Buffers that belong to the thread: a session takes one when it has something to keep, and gives it back when it has
//! nothing. An idle session holds no buffer, and a busy one does not ask the allocator at every wake.

use std::cell::RefCell;

use bytes::BytesMut;

/// Buffers that a thread keeps at most, and among them of those that are large.
const MOST: usize = 64;
const MOST_LARGE: usize = 2;
/// A buffer that grew beyond this is large, and goes to a session that has that much to keep.
const SMALL_BYTES: usize = 16 * 1024;
/// A buffer that grew beyond this goes back to the allocator.
const KEEP_BYTES: usize = 512 * 1024;
/// Bytes of a new buffer.
const FIRST: usize = 512;

#[derive(Default)]
struct Spare {
    small: Vec<BytesMut>,
    large: Vec<BytesMut>,
}

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { small: Vec::new(), large: Vec::new() }) };
}

/// A thread that ends has none.
fn with<R>(visit: impl FnOnce(&mut Spare) -> R) -> Option<R> {
    SPARE.try_with(|spare| spare.try_borrow_mut().ok().map(|mut spare| visit(&mut spare))).ok().flatten()
}

/// An empty buffer.
pub(crate) fn take() -> BytesMut {
    with(|spare| spare.small.pop()).flatten().unwrap_or_else(|| BytesMut::with_capacity(FIRST))
}

/// Makes room for more bytes: a buffer that is to become large is exchanged for one that is, if there is one.
pub(crate) fn widen(buffer: &mut BytesMut, more: usize) {
    if buffer.capacity() - buffer.len() >= more || buffer.len() + more <= SMALL_BYTES {
        return;
    }
    if buffer.try_reclaim(more) {
        return;
    }
    let Some(mut large) = with(|spare| spare.large.pop()).flatten() else { return };
    if large.try_reclaim(buffer.len() + more) {
        large.extend_from_slice(buffer);
        give(std::mem::replace(buffer, large));
    } else {
        give(large);
    }
}

/// Takes a buffer that is not needed any more.
pub(crate) fn give(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.capacity() == 0 && !buffer.try_reclaim(1) {
        return;
    }
    // What was taken from its front counts, too.
    let is_large = buffer.try_reclaim(SMALL_BYTES + 1);
    if is_large && buffer.try_reclaim(KEEP_BYTES + 1) {
        return;
    }
    with(|spare| {
        let (buffers, most) =
            if is_large { (&mut spare.large, MOST_LARGE) } else { (&mut spare.small, MOST) };
        if buffers.len() < most {
            buffers.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (usize, usize) {
        with(|spare| (spare.small.len(), spare.large.len())).unwrap()
    }

    #[test]
    fn large_buffers_go_to_who_needs_them() {
        let mut buffer = take();
        assert_eq!(buffer.capacity(), FIRST);
        buffer.resize(SMALL_BYTES + 1, 7);
        let large = buffer.as_ptr();
        give(buffer);
        assert_eq!(kept(), (0, 1));
        let mut other = take();
        assert_eq!((other.capacity(), kept()), (FIRST, (0, 1)), "little to keep takes a small one");
        other.resize(SMALL_BYTES, 8);
        widen(&mut other, 1);
        assert_eq!((other.as_ptr(), other.len(), kept()), (large, SMALL_BYTES, (1, 0)));
        assert!(other.iter().all(|byte| *byte == 8));
    }

    #[test]
    fn few_are_kept_and_none_that_is_very_large() {
        for _ in 0..2 * MOST {
            give(BytesMut::with_capacity(FIRST));
            give(BytesMut::with_capacity(2 * SMALL_BYTES));
        }
        assert_eq!(kept(), (MOST, MOST_LARGE));
        with(|spare| *spare = Spare::default());
        give(BytesMut::with_capacity(2 * KEEP_BYTES));
        give(BytesMut::new());
        assert_eq!(kept(), (0, 0));
    }

    /// What was read from a buffer is still its own.
    #[test]
    fn a_buffer_is_as_large_as_it_ever_was() {
        let mut buffer = BytesMut::zeroed(2 * SMALL_BYTES);
        bytes::Buf::advance(&mut buffer, 2 * SMALL_BYTES - 1);
        give(buffer);
        assert_eq!(kept(), (0, 1));
    }
}
