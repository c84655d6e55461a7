//! Policy documents, each parsed once for each time it is written; those with the same text are one, as where each device has
//! its own policy and all of these say the same.

use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use parking_lot::Mutex;
use policy::Document;
use sha2::{Digest, Sha256};
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
    by_text: Mutex<ByText>,
}

/// Documents that somebody has, by SHA-256 of their texts: what one text grants must not be granted for another.
#[derive(Debug, Default)]
struct ByText {
    known: HashMap<[u8; 32], Weak<Document>>,
    /// Twice as many as were left after the last sweep.
    sweep_at: usize,
}

impl ByText {
    fn find(&self, digest: &[u8; 32]) -> Option<Arc<Document>> {
        self.known.get(digest)?.upgrade()
    }

    fn add(&mut self, digest: [u8; 32], document: &Arc<Document>) {
        if self.known.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.known.retain(|_, document| document.strong_count() > 0);
            self.sweep_at = 2 * self.known.len();
        }
        self.known.insert(digest, Arc::downgrade(document));
    }
}

/// How many texts are known before those that nobody has any more are looked for.
const FIRST_SWEEP: usize = 1024;

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
        let document = self.read(stored)?;
        let mut parsed = self.parsed.lock();
        if parsed.len() >= MOST {
            parsed.clear();
        }
        parsed.insert(name.into(), (stored.revision, document.clone()));
        Ok(document)
    }

    fn read(&self, stored: &Text<'_>) -> Result<Arc<Document>, policy::MalformedPolicy> {
        // The same text may be too long in another place.
        let digest =
            Sha256::new().chain_update(stored.longest.to_le_bytes()).chain_update(stored.text).finalize();
        if let Some(known) = self.by_text.lock().find(digest.as_ref()) {
            return Ok(known);
        }
        let document = Arc::new(Document::parse_within(stored.text, stored.longest)?);
        self.by_text.lock().add(digest.into(), &document);
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

    fn text(text: &str, revision: u64) -> Text<'_> {
        Text { text, longest: 2048, revision: Revision(revision) }
    }

    #[test]
    fn policies_that_say_the_same_share_their_document() {
        let documents = Documents::default();
        let first = documents.parse("A", &text(ALL, 1)).unwrap();
        assert!(Arc::ptr_eq(&first, &documents.parse("B", &text(ALL, 2)).unwrap()));
        let other = ALL.replace("Allow", "Deny");
        let second = documents.parse("A", &text(&other, 3)).unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&first, &documents.parse("A", &text(ALL, 4)).unwrap()), "it is as it was");
        let short = Text { longest: 10, ..text(ALL, 5) };
        assert!(documents.parse("C", &short).is_err(), "what is too long elsewhere is too long");
    }

    #[test]
    fn texts_that_nobody_has_are_forgotten() {
        let documents = Documents::default();
        for number in 0..3 * FIRST_SWEEP {
            let one = ALL.replace(r#""*"}"#, &format!(r#""arn:aws:iot:*:*:topic/{number}"}}"#));
            documents.read(&text(&one, 1)).unwrap();
            assert!(documents.by_text.lock().known.len() <= FIRST_SWEEP);
        }
    }
}
