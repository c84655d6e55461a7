//! Logging options and levels.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    SetLoggingOptions => set_logging_options,
    GetLoggingOptions => get_logging_options,
    SetV2LoggingOptions => set_v2_logging_options,
    GetV2LoggingOptions => get_v2_logging_options,
    SetV2LoggingLevel => set_v2_logging_level,
    ListV2LoggingLevels => list_v2_logging_levels,
    DeleteV2LoggingLevel => delete_v2_logging_level,
];
