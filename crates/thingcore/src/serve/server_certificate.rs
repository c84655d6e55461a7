//! The server certificate while the server runs: files that change are read again, what the private CA issued is issued
//! anew before it ends, and the operator is reminded of what nobody renews.
//!
//! A certificate that cannot be used keeps the one before it in service, and is told once.

use std::time::Duration;

use events::{ConfigProblem, Event, Observers, ServerCertificateReplaced};
use gateway::{Gateway, ServerIdentity};
use identity::Timestamp;

use crate::data_dir::{ServerCertificate, ServerSource};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long before the end the reminders begin.
const NOTICE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often the source is looked at.
const GLANCE: Duration = Duration::from_secs(5);

/// Watches the certificate in service.
pub struct CertificateWatch {
    source: ServerSource,
    /// The one read last, in service or not.
    known: ServerCertificate,
    /// No look before this moment.
    next_look: Timestamp,
    /// No reminder before this moment.
    next_reminder: Timestamp,
}

impl CertificateWatch {
    /// Of a certificate that was read from its source just now.
    pub fn new(source: ServerSource, known: ServerCertificate) -> Self {
        Self { source, known, next_look: Timestamp::default(), next_reminder: Timestamp::default() }
    }

    /// Looks at the source, if it is time, and does what is to be done. `wall` is the time of validities.
    pub fn look(&mut self, gateway: &Gateway, observers: &Observers, now: Timestamp, wall: Timestamp) {
        if let Some(found) = self.changed(now) {
            match found.and_then(|found| show(gateway, found)) {
                Ok(detail) => {
                    let replaced = ServerCertificateReplaced { detail: &detail };
                    observers.emit(now, &Event::ServerCertificateReplaced(replaced));
                }
                Err(problem) => {
                    warn(observers, &format!("{problem}; the certificate before it stays in service"), now);
                }
            }
        }
        if let Some(detail) = self.reminder(wall) {
            warn(observers, &detail, now);
        }
    }

    /// What the source has now, if it is not what it had.
    fn changed(&mut self, now: Timestamp) -> Option<Result<ServerCertificate, String>> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + GLANCE;
        match self.source.read() {
            Ok(found) if found.is_same(&self.known) => None,
            Ok(found) => {
                self.known = found.clone();
                self.next_reminder = Timestamp::default();
                Some(Ok(found))
            }
            // Files that are being replaced may be missing for a moment; what stays missing is told once a day.
            Err(problem) => {
                self.next_look = now + DAY.min(GLANCE * 12);
                Some(Err(problem.to_string()))
            }
        }
    }

    /// What to tell the operator now: once a day at most.
    fn reminder(&mut self, wall: Timestamp) -> Option<String> {
        let ends = self.known.ends()?;
        if wall < self.next_reminder || wall + NOTICE < ends {
            return None;
        }
        self.next_reminder = wall + DAY;
        let days = |span: Duration| span.as_secs() / DAY.as_secs();
        let when = match wall > ends {
            true => format!("expired {} days ago: devices refuse it", days(wall.since(ends))),
            false => format!("expires in {} days", days(ends.since(wall))),
        };
        Some(format!(
            "the server certificate {when}; replace its files, which are read again while the server runs"
        ))
    }
}

fn show(gateway: &Gateway, found: ServerCertificate) -> Result<String, String> {
    let identity = ServerIdentity::from_pem(found.chain.as_bytes(), found.private_key.as_bytes());
    identity.and_then(|identity| gateway.show(identity)).map_err(|error| error.to_string())?;
    Ok(found.summary())
}

fn warn(observers: &Observers, detail: &str, now: Timestamp) {
    let problem = ConfigProblem { setting: "devices.certificate_file", detail: &detail };
    observers.emit(now, &Event::ConfigProblem(problem));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use pki::{CertificateAuthority, Serial};

    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000_000);

    fn write(folder: &std::path::Path, number: u8) {
        let authority =
            Arc::new(CertificateAuthority::generate("t", Serial::from_random([1; 16]), START).unwrap());
        let issued = authority.issue_server(&["h"], Serial::from_random([number; 16]), START).unwrap();
        fs::write(folder.join("chain"), issued.certificate.pem()).unwrap();
        fs::write(folder.join("key"), issued.private_key.pem()).unwrap();
    }

    fn watch(folder: &std::path::Path) -> CertificateWatch {
        let source = ServerSource::Own { chain: folder.join("chain"), key: folder.join("key") };
        let known = source.read().unwrap();
        CertificateWatch::new(source, known)
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_does_not_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1);
        let mut watch = watch(folder.path());
        assert!(watch.changed(START).is_none());
        write(folder.path(), 2);
        assert!(watch.changed(START).is_none(), "it was looked at a moment ago");
        assert!(watch.changed(START + GLANCE).unwrap().is_ok());
        assert!(watch.changed(START + GLANCE * 2).is_none());
        fs::remove_file(folder.path().join("key")).unwrap();
        assert!(watch.changed(START + GLANCE * 3).unwrap().is_err_and(|problem| problem.contains("key")));
        assert!(watch.changed(START + GLANCE * 4).is_none(), "not again at once");
    }

    #[test]
    fn it_reminds_once_a_day_from_thirty_days_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1);
        let mut watch = watch(folder.path());
        let ends = watch.known.ends().unwrap();
        let before = |days: u64| Timestamp(ends.millis() - (DAY * 1).as_millis() as u64 * days);
        assert_eq!(watch.reminder(before(31)), None);
        assert!(watch.reminder(before(30)).unwrap().contains("expires in 30 days; replace"));
        assert_eq!(watch.reminder(before(30) + Duration::from_secs(3600)), None);
        assert!(watch.reminder(before(29)).unwrap().contains("in 29 days"));
        assert!(watch.reminder(ends + DAY * 2).unwrap().contains("expired 2 days ago"));
    }
}
