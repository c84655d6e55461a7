//! What happens in a world, as the models are told it.

use std::sync::Arc;

use broker::Footprint;
use identity::Timestamp;
use mqtt::{Connect, Packet, Publish};

use crate::heard::Heard;
use crate::rules::Rules;

/// One fact. Wires and clients are numbers.
#[derive(Clone, Debug)]
pub enum Fact {
    /// The broker read a CONNECT and is asked to take the client in.
    Asked {
        /// The wire.
        wire: usize,
        /// The client.
        client: usize,
        /// The packet.
        connect: Arc<Connect>,
    },
    /// A client threw its session away: it begins a clean start, of which the broker may never hear.
    Cleared {
        /// The client.
        client: usize,
    },
    /// The broker gave a connection.
    Seated {
        /// The wire.
        wire: usize,
    },
    /// The broker refused.
    Refused {
        /// The wire.
        wire: usize,
    },
    /// The broker was handed a packet.
    Took {
        /// The wire.
        wire: usize,
        /// The client.
        client: usize,
        /// The packet.
        packet: Arc<Packet>,
        /// False if the connection ended in the same moment: perhaps it was not looked at.
        sure: bool,
    },
    /// The broker gave a packet for the wire.
    Gave {
        /// The wire.
        wire: usize,
        /// The client.
        client: usize,
        /// The packet.
        packet: Arc<Packet>,
        /// The wire was not always free to take what the broker had.
        late: bool,
        /// Its length.
        bytes: usize,
    },
    /// A client's application saw a message.
    Seen {
        /// The client.
        client: usize,
        /// It.
        publish: Arc<Publish>,
    },
    /// The wire is gone, for the broker too.
    Gone {
        /// The wire.
        wire: usize,
    },
    /// An event.
    Heard(Heard),
    /// The registry holds other rules now.
    Ruled(Arc<Rules>),
    /// Which links take nothing now, although something waits for them: told before [`Fact::Idle`], if there are any.
    Held {
        /// The wires.
        wires: Vec<usize>,
    },
    /// Nothing is on its way between broker and disk, and the feed has been followed.
    Idle,
    /// The process died, or stopped; `graceful` tells.
    Died {
        /// It stopped in order.
        graceful: bool,
    },
    /// It runs again.
    Started {
        /// When it began to start: for it, all that was there before ended then at the latest.
        since: Timestamp,
    },
    /// Somebody asked for a retained message over HTTP: the topic, and the payload if there is one.
    Probed {
        /// The topic.
        topic: String,
        /// The payload.
        payload: Option<String>,
    },
    /// The world is at its end: all clients that have sessions were there and took everything.
    Drained,
    /// And now everybody has left and every session is over: what the disk and the broker still hold.
    Emptied {
        /// Connections.
        connections: usize,
        /// Jobs that wait for the disk.
        jobs: usize,
        /// Messages in the journals of sessions.
        messages: usize,
        /// Messages in the journals of shared groups.
        shared: usize,
        /// Records of sessions and wills.
        records: usize,
        /// What the broker keeps in memory; the moments are those of an hour later.
        footprint: Footprint,
    },
}
