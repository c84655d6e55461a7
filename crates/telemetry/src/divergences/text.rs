//! The report as sentences: "sensor-7: subscribed with QoS 2 (no-qos2) 3x".

use std::fmt;

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
        f.write_str(if self.client_id.is_empty() { "(no client id)" } else { &self.client_id })?;
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
        write!(f, "{} ({}) {}x", self.detail, self.id, self.count)
    }
}
