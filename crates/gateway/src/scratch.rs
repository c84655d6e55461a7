//! Buffers that belong to the thread: a connection rents one while it has something to read or write.
//!
//! That is what keeps an idle connection free of buffers without an allocation per wake.

use std::cell::Cell;
use std::thread::LocalKey;

use bytes::BytesMut;
use mqtt::Packet;

/// Bytes asked of the socket per read.
pub(crate) const READ_BYTES: usize = 8 * 1024;

/// A buffer that grew beyond this goes back to the allocator, not to the thread.
const KEEP_BYTES: usize = 128 * 1024;

/// Packets kept room for.
const KEEP_PACKETS: usize = 256;

thread_local! {
    static INPUT: Cell<BytesMut> = Cell::new(BytesMut::new());
    static OUTPUT: Cell<BytesMut> = Cell::new(BytesMut::new());
    static RECORDS: Cell<BytesMut> = Cell::new(BytesMut::new());
    static SEALED: Cell<BytesMut> = Cell::new(BytesMut::new());
    static PACKETS: Cell<Vec<Packet>> = const { Cell::new(Vec::new()) };
}

pub(crate) fn rent_input() -> BytesMut {
    INPUT.take()
}

/// Takes the buffer back; what is left of its allocation serves the thread's next read.
pub(crate) fn return_input(buffer: BytesMut) {
    keep(&INPUT, buffer);
}

fn keep(place: &'static LocalKey<Cell<BytesMut>>, mut buffer: BytesMut) {
    if buffer.capacity() > 0 && buffer.capacity() <= KEEP_BYTES {
        buffer.clear();
        place.set(buffer);
    }
}

pub(crate) fn rent_output() -> BytesMut {
    OUTPUT.take()
}

pub(crate) fn return_output(buffer: BytesMut) {
    keep(&OUTPUT, buffer);
}

/// For TLS records as they come.
pub(crate) fn rent_records() -> BytesMut {
    RECORDS.take()
}

pub(crate) fn return_records(buffer: BytesMut) {
    keep(&RECORDS, buffer);
}

/// For TLS records as they go.
pub(crate) fn rent_sealed() -> BytesMut {
    SEALED.take()
}

pub(crate) fn return_sealed(buffer: BytesMut) {
    keep(&SEALED, buffer);
}

pub(crate) fn rent_packets() -> Vec<Packet> {
    PACKETS.take()
}

pub(crate) fn return_packets(mut packets: Vec<Packet>) {
    if packets.capacity() <= KEEP_PACKETS {
        packets.clear();
        PACKETS.set(packets);
    }
}
