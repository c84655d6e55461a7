//! Policy documents, each parsed once for each time it is written.

use std::sync::Arc;

use hashbrown::HashMap;
use identity::PolicyName;
use parking_lot::Mutex;
use policy::Document;
use store::Revision;

/// How many parsed documents are kept; more are parsed again when they are needed.
const MOST: usize = 10_000;

/// Parsed documents by policy and by the revision of its record.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    parsed: Mutex<HashMap<PolicyName, (Revision, Arc<Document>)>>,
}

impl Documents {
    /// The parsed form of a stored document. The registry stores only documents that parse; one that does not is
    /// reported by the caller and grants nothing.
    pub(crate) fn parse(
        &self,
        name: &PolicyName,
        revision: Revision,
        text: &str,
    ) -> Result<Arc<Document>, policy::MalformedPolicy> {
        if let Some((known, document)) = self.parsed.lock().get(name)
            && *known == revision
        {
            return Ok(document.clone());
        }
        let document = Arc::new(Document::parse(text)?);
        let mut parsed = self.parsed.lock();
        if parsed.len() >= MOST {
            parsed.clear();
        }
        parsed.insert(name.clone(), (revision, document.clone()));
        Ok(document)
    }
}
