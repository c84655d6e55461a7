//! How many sockets the process may open, and how many connections that makes.

use crate::config::Settings;

/// Descriptors kept for listeners, the API, the store, logs, and functions that are commands: 68 of four each.
const RESERVE: u64 = 384;

/// Raises the soft limit of open files to the hard one and fits the number of connections to it. A chosen number that
/// does not fit is kept, with a warning.
pub fn fit(settings: &mut Settings) -> Option<String> {
    let open_files = rlimit::increase_nofile_limit(u64::MAX).ok()?;
    let room = usize::try_from(room(open_files)).unwrap_or(usize::MAX);
    if settings.limits.connections <= room {
        return None;
    }
    if settings.connections_chosen {
        return Some(format!(
            "{} connections are configured, but the process may open {open_files} files, which is room for {room}: raise \
             the limit (ulimit -n, LimitNOFILE=)",
            settings.limits.connections
        ));
    }
    settings.limits.connections = room;
    None
}

fn room(open_files: u64) -> u64 {
    open_files.saturating_sub(RESERVE).max(open_files / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_still_leaves_room_for_connections() {
        assert_eq!(room(20_000), 19_616);
        assert_eq!(room(384), 192);
        assert_eq!(room(0), 1);
    }
}
