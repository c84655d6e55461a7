//! Buffers that belong to the thread: a session takes one when it has something to keep, and gives it back when it has
//! nothing. An idle session holds no buffer, and a busy one does not ask the allocator at every wake.

use std::cell::RefCell;

use bytes::BytesMut;

/// Buffers that a thread keeps at most.
const MOST: usize = 64;
/// A buffer that grew beyond this goes back to the allocator.
const KEEP_BYTES: usize = 16 * 1024;
/// Bytes of a new buffer.
const FIRST: usize = 512;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer.
pub(crate) fn take() -> BytesMut {
    let spare = SPARE.try_with(|spare| spare.try_borrow_mut().ok().and_then(|mut spare| spare.pop()));
    spare.ok().flatten().unwrap_or_else(|| BytesMut::with_capacity(FIRST))
}

/// Takes a buffer that is not needed any more.
pub(crate) fn give(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.capacity() == 0 || buffer.capacity() > KEEP_BYTES {
        return;
    }
    // A thread that ends has no use for it.
    let _ended = SPARE.try_with(|spare| {
        if let Ok(mut spare) = spare.try_borrow_mut()
            && spare.len() < MOST
        {
            spare.push(buffer);
        }
    });
}
