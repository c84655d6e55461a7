//! Message enrichment: what a publisher's thing lets travel with its messages (enriched-user-properties).

use dialect::Divergence;
use identity::{ClientId, Timestamp};
use mqtt::Message;
use standing::Standing;

use crate::broker::Inner;

impl Inner {
    /// Appends to a message what its publisher's thing lets travel; mostly nothing.
    pub fn enrich(&self, standing: &Standing, message: &mut Message, now: Timestamp) {
        let added = standing.view().enrich(message);
        if added == 0 {
            return;
        }
        let client_id = standing.bearer.client_id.as_ref().map_or("", ClientId::as_str);
        let detail = &format_args!("added {added} user properties to {}", message.topic);
        self.diverges_for(Divergence::EnrichedUserProperties, client_id, "PUBLISH", detail, now);
    }
}
