//! Tags.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    TagResource => tag_resource,
    UntagResource => untag_resource,
    ListTagsForResource => list_tags_for_resource,
];
