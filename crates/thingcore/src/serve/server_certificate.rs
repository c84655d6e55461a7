//! The server certificate while the server runs: files that change are read again, what the private CA issued is issued
//! anew before it ends, and the operator is reminded of what nobody renews.
//!
//! A certificate that cannot be used keeps the one before it in service, and is told once; one that cannot be read, once a
//! day.

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

/// How often one that cannot be read is looked at.
const AGAIN: Duration = Duration::from_secs(60);

/// Watches the certificate in service.
pub struct CertificateWatch {
    source: ServerSource,
    /// The one read last, in service or not.
    known: ServerCertificate,
    /// No look before this moment.
    next_look: Timestamp,
    /// No reminder before this moment.
    next_reminder: Timestamp,
    /// Why the source cannot be read now, and when that is told again.
    unreadable: Option<(String, Timestamp)>,
}

impl CertificateWatch {
    /// Of a certificate that was read from its source just now.
    pub fn new(source: ServerSource, known: ServerCertificate) -> Self {
        let (next_look, next_reminder) = (Timestamp::default(), Timestamp::default());
        Self { source, known, next_look, next_reminder, unreadable: None }
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

    /// What the source has now, if it is not what it had, or why that cannot be read, if that is to be told.
    fn changed(&mut self, now: Timestamp) -> Option<Result<ServerCertificate, String>> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + GLANCE;
        let found = match self.source.read() {
            Ok(found) => found,
            Err(problem) => {
                self.next_look = now + AGAIN;
                return self.unreadable(problem.to_string(), now).map(Err);
            }
        };
        self.unreadable = None;
        if found.is_same(&self.known) {
            return None;
        }
        self.known = found.clone();
        self.next_reminder = Timestamp::default();
        Some(Ok(found))
    }

    /// A problem if it is another one than before, or was told a day ago.
    fn unreadable(&mut self, problem: String, now: Timestamp) -> Option<String> {
        if self.unreadable.as_ref().is_some_and(|(known, again)| *known == problem && now < *again) {
            return None;
        }
        self.unreadable = Some((problem.clone(), now + DAY));
        Some(problem)
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
    fn what_stays_missing_is_told_once_a_day_and_found_when_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1);
        let mut watch = watch(folder.path());
        let files = ["key", "chain"].map(|name| folder.path().join(name));
        let [key, chain] = files.each_ref().map(|path| fs::read(path).unwrap());
        fs::remove_file(&files[0]).unwrap();
        let seconds = 0..2 * DAY.as_secs();
        let told = seconds.step_by(5).filter(|second| {
            let found = watch.changed(START + Duration::from_secs(*second));
            found.is_some_and(|found| found.is_err())
        });
        assert_eq!(told.collect::<Vec<_>>(), [0, DAY.as_secs()]);
        // Another trouble is news, and so is the same after everything was well.
        let later = START + DAY * 2;
        fs::remove_file(&files[1]).unwrap();
        assert!(watch.changed(later).unwrap().is_err());
        fs::write(&files[0], key).unwrap();
        fs::write(&files[1], chain).unwrap();
        assert!(watch.changed(later + AGAIN).is_none());
        fs::remove_file(&files[1]).unwrap();
        assert!(watch.changed(later + AGAIN * 2).unwrap().is_err());
        write(folder.path(), 2);
        assert!(watch.changed(later + AGAIN * 3).unwrap().is_ok());
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
