//! Policy documents, each parsed once for each time it is written.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use policy::Document;
use store::Revision;

/// How many parsed documents are kept; more are parsed again when they are needed.
const MOST: usize = 10_000;

/// A document as it is stored.
pub(crate) struct Text<'a> {
    pub text: &'a str,
    /// Characters that it may have.
    pub longest: usize,
    /// Of the record that it stands in.
    pub revision: Revision,
}

/// Parsed documents by name and by the revision of the record. An AWS IoT policy goes by its name, an inline policy of
/// IAM by `user/NAME/POLICY` or `role/NAME/POLICY`: the names of policies have no slash.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    parsed: Mutex<HashMap<Box<str>, Parsed>>,
}

/// A document, and the revision of the record that it stood in.
type Parsed = (Revision, Arc<Document>);

impl Documents {
    /// The parsed form of a stored document. The registry stores only documents that parse; one that does not is
    /// reported by the caller and grants nothing.
    pub(crate) fn parse(
        &self,
        name: &str,
        stored: &Text<'_>,
    ) -> Result<Arc<Document>, policy::MalformedPolicy> {
        if let Some((known, document)) = self.parsed.lock().get(name)
            && *known == stored.revision
        {
            return Ok(document.clone());
        }
        let document = Arc::new(Document::parse_within(stored.text, stored.longest)?);
        let mut parsed = self.parsed.lock();
        if parsed.len() >= MOST {
            parsed.clear();
        }
        parsed.insert(name.into(), (stored.revision, document.clone()));
        Ok(document)
    }
}
