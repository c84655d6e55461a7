//! Versions of things and groups: 1 at creation, one more with each update.

use crate::Fault;

/// The version of what was just created.
pub const FIRST_VERSION: u64 = 1;

/// Compares the version that a caller expects with the one that is there.
///
/// # Errors
/// [`Fault::VersionConflict`] when the caller is behind, [`Fault::Invalid`] for a number that is no version.
pub fn check_expected(expected: Option<i64>, actual: u64) -> Result<(), Fault> {
    let Some(expected) = expected else { return Ok(()) };
    let expected = u64::try_from(expected)
        .map_err(|_| Fault::invalid(format!("expectedVersion {expected} is not a version")))?;
    if expected == actual { Ok(()) } else { Err(Fault::VersionConflict { expected, actual }) }
}

/// The version after an update.
pub fn next(version: u64) -> u64 {
    version.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expected_version_must_be_the_one_that_is_there() {
        assert_eq!(check_expected(None, 7), Ok(()));
        assert_eq!(check_expected(Some(7), 7), Ok(()));
        assert_eq!(check_expected(Some(6), 7), Err(Fault::VersionConflict { expected: 6, actual: 7 }));
        assert!(matches!(check_expected(Some(-1), 7), Err(Fault::Invalid(_))));
        assert_eq!(next(FIRST_VERSION), 2);
    }
}
