//! Principals attached to things: kept in both directions, always written together.
//!
//! Sources: API reference, *AttachThingPrincipal*; developer guide, *Associating an AWS IoT thing to an MQTT client
//! connection*.

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::Fault;

/// Key: thing name, principal ARN. "Who may speak for this thing?"
pub const THING_PRINCIPALS: Keyspace<ThingPrincipalRecord> = Keyspace::new("thing-principals");
/// Key: principal ARN, thing name. "Which things does this principal speak for?"
pub const PRINCIPAL_THINGS: Keyspace<ThingPrincipalRecord> = Keyspace::new("principal-things");

/// The key in [`THING_PRINCIPALS`].
pub fn thing_principal_key(thing: &str, principal: &str) -> Key {
    Key::of(&[thing, principal])
}

/// The key in [`PRINCIPAL_THINGS`].
pub fn principal_thing_key(principal: &str, thing: &str) -> Key {
    Key::of(&[principal, thing])
}

/// One attachment; both directions hold the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingPrincipalRecord {
    /// Whether the principal belongs to this thing alone.
    #[serde(rename = "type")]
    pub kind: ThingPrincipalType,
    /// Since when.
    pub attached: Timestamp,
}

/// How a principal belongs to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ThingPrincipalType {
    /// To this thing and no other; its connections count as the thing's whatever the client id.
    #[serde(rename = "EXCLUSIVE_THING")]
    Exclusive,
    /// To this thing and perhaps others; a connection counts as the thing's if its client id is the thing's name.
    #[serde(rename = "NON_EXCLUSIVE_THING")]
    NonExclusive,
}

impl ThingPrincipalType {
    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "EXCLUSIVE_THING",
            Self::NonExclusive => "NON_EXCLUSIVE_THING",
        }
    }
}

/// Whether `principal` may be attached to `thing` in this way, given where it is attached now.
///
/// The pages say that an exclusive principal belongs to exactly one thing; that an exclusive attachment fails while
/// the principal is attached elsewhere, and blocks later ones, follows from it (unconfirmed). Attaching again in the
/// same way succeeds; in another way is refused, so that nobody loses exclusivity unnoticed.
///
/// # Errors
/// [`Fault::Invalid`].
pub fn check_attach(
    principal: &str,
    thing: &str,
    kind: ThingPrincipalType,
    present: &[(String, ThingPrincipalType)],
) -> Result<(), Fault> {
    for (other, other_kind) in present {
        if other == thing && *other_kind != kind {
            return Err(Fault::invalid(format!(
                "Principal {principal} is already attached to thing {thing} as {}; detach it first",
                other_kind.as_str()
            )));
        }
        let exclusive = kind == ThingPrincipalType::Exclusive || *other_kind == ThingPrincipalType::Exclusive;
        if other != thing && exclusive {
            return Err(Fault::invalid(format!(
                "Principal {principal} is attached to thing {other} as {} and can not be attached to thing {thing} \
                 as {}",
                other_kind.as_str(),
                kind.as_str()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ThingPrincipalType::{Exclusive, NonExclusive};
    use super::*;

    #[test]
    fn exclusive_means_one_thing() {
        let at = |thing: &str, kind| vec![(thing.to_owned(), kind)];
        let check = |kind, present: &[_]| check_attach("p", "a", kind, present).is_ok();
        assert!(check(Exclusive, &[]));
        assert!(check(NonExclusive, &at("b", NonExclusive)));
        assert!(!check(Exclusive, &at("b", NonExclusive)));
        assert!(!check(NonExclusive, &at("b", Exclusive)));
        assert!(check(Exclusive, &at("a", Exclusive)));
        assert!(!check(Exclusive, &at("a", NonExclusive)));
    }
}
