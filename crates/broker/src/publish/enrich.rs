//! Message enrichment: what a publisher's thing lets travel with its messages (enriched-user-properties).

use std::sync::Arc;

use dialect::Divergence;
use identity::{ClientId, Timestamp};
use session::Parcel;
use standing::{Standing, View};

use crate::broker::Inner;

impl Inner {
    /// Appends to a message what its publisher's thing lets travel; mostly nothing.
    pub fn enrich(&self, standing: &Standing, view: &View, parcel: &mut Arc<Parcel>, now: Timestamp) {
        if !view.enriches() {
            return;
        }
        // Nobody else has it yet.
        let Some(added) = Arc::get_mut(parcel).map(|parcel| parcel.amend(|message| view.enrich(message)))
        else {
            return;
        };
        let client_id = standing.bearer.client_id.as_ref().map_or("", ClientId::as_str);
        let detail = &format_args!("added {added} user properties to {}", parcel.message.topic);
        self.diverges_for(Divergence::EnrichedUserProperties, client_id, "PUBLISH", detail, now);
    }
}
