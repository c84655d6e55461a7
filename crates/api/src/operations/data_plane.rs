//! The data plane: publishing, and the retained messages.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![IotData:
    GetRetainedMessage => get_retained_message,
    ListRetainedMessages => list_retained_messages,
];
