//! The report as sentences: "sensor-7: subscribed with QoS 2 (no-qos2) 3x". Devices chose the names in it, so it is a line a
//! client whatever they chose.

use std::fmt;

use crate::log::plain;

use super::{ClientSummary, DivergenceSummary, RowSummary};

impl fmt::Display for DivergenceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for client in &self.clients {
            writeln!(f, "{client}")?;
        }
        if self.dropped > 0 {
            writeln!(f, "and {} observations that the report had no room for", self.dropped)?;
        }
        Ok(())
    }
}

impl fmt::Display for ClientSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client_id.as_str() {
            "" => f.write_str("(no client id)")?,
            id => f.write_str(&plain(id))?,
        }
        let mut sign = ':';
        for row in &self.rows {
            write!(f, "{sign} {row}")?;
            sign = ';';
        }
        Ok(())
    }
}

impl fmt::Display for RowSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) {}x", plain(&self.detail), plain(&self.id), self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_forge_lines_or_move_the_cursor() {
        let evil = "a\u{1b}[2J\nb\r\u{9b}1m\u{202e}";
        let row = RowSummary {
            id: evil.into(),
            count: 1,
            last_seen: 0.0,
            packet: evil.into(),
            detail: evil.into(),
            standard: evil.into(),
        };
        let client = ClientSummary { client_id: evil.into(), principal: evil.into(), rows: vec![row] };
        let text = DivergenceSummary { clients: vec![client], dropped: 0 }.to_string();
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
        assert_eq!(text.matches("\\u{1b}[2J").count(), 3, "{text}");
    }
}
