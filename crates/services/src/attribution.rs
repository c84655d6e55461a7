//! To which thing, and so to which groups, what a client did is attributed: for the bill. As the registry is now.

use identity::Timestamp;
use registry::thing_groups::THING_MEMBERSHIPS;
use registry::thing_principals::{PRINCIPAL_THINGS, ThingPrincipalType};
use registry::things::{THINGS, ThingRecord, thing_key};
use store::Key;

use crate::things::READ_GROUPS;
use crate::{ApiError, Services};

/// A thing and its groups; all empty for a client that stands for no thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The thing.
    pub thing: Option<String>,
    /// The thing groups that hold it directly, by name.
    pub thing_groups: Vec<String>,
    /// Its billing group.
    pub billing_group: Option<String>,
}

impl Services {
    /// The thing for which a client speaks, and its groups. `principal` is its identifier: of a certificate, the id.
    ///
    /// First the thing that AWS associates with the connection: the one of the client id's name if the principal is
    /// attached to it, or the one that holds the principal exclusively. Else a thing of the client id's name; else the
    /// only thing to which the principal is attached. (How AWS attributes the last two is not confirmed.)
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn attribution(
        &self,
        client_id: &str,
        principal: &str,
        now: Timestamp,
    ) -> Result<Attribution, ApiError> {
        let Some(thing) = self.spoken_for(client_id, principal, now).await? else {
            return Ok(Attribution::default());
        };
        let name = thing.name.as_str().to_owned();
        let rows =
            self.records.scan(&THING_MEMBERSHIPS, &Key::of(&[&name]), None, (READ_GROUPS, now)).await?;
        let thing_groups = rows.iter().filter_map(|row| row.key.parts().pop()).collect();
        Ok(Attribution { thing: Some(name), thing_groups, billing_group: thing.billing_group })
    }

    async fn spoken_for(
        &self,
        client_id: &str,
        principal: &str,
        now: Timestamp,
    ) -> Result<Option<ThingRecord>, ApiError> {
        let arn = self.certificate_arn(principal);
        // Two tell whether it is the only one.
        let held = self.records.scan(&PRINCIPAL_THINGS, &Key::of(&[&arn]), None, (2, now)).await?;
        let only = match held.as_slice() {
            [one] => one.key.parts().pop().map(|name| (name, one.value.kind)),
            _ => None,
        };
        let named = match client_id {
            "" => None,
            name => self.records.get(&THINGS, &thing_key(name), now).await?.map(|stored| stored.value),
        };
        let attached = only.as_ref().is_some_and(|(name, _)| name == client_id);
        match only {
            // An exclusive principal has no other thing: a thing of the client id's name is a stranger to it.
            Some((name, kind)) if kind == ThingPrincipalType::Exclusive || (named.is_none() && !attached) => {
                Ok(self.records.get(&THINGS, &thing_key(&name), now).await?.map(|stored| stored.value))
            }
            _ => Ok(named),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::shapes::CertificateStatus::Active;
    use crate::shapes::ThingPrincipalType::ExclusiveThing;
    use crate::tests::{NOW, Scene};

    fn thing(scene: &Scene, client_id: &str, principal: &str) -> Option<String> {
        scene.run(scene.services.attribution(client_id, principal, NOW)).unwrap().thing
    }

    #[test]
    fn the_principals_thing_or_the_one_of_the_client_ids_name() {
        let scene = Scene::new();
        ["lamp", "door", "gate"].iter().for_each(|name| scene.thing(name));
        let certificate = || scene.certificate(Active);
        let (nobodys, _) = certificate();
        let (exclusive, arn) = certificate();
        scene.attach_thing("lamp", &arn, Some(ExclusiveThing)).unwrap();
        let (only, arn) = certificate();
        scene.attach_thing("door", &arn, None).unwrap();
        let (shared, arn) = certificate();
        ["door", "gate"].iter().for_each(|name| scene.attach_thing(name, &arn, None).unwrap());
        let of = |client_id: &str, principal: &str| thing(&scene, client_id, principal);
        assert_eq!(of("anything", &exclusive).as_deref(), Some("lamp"));
        assert_eq!(
            of("door", &exclusive).as_deref(),
            Some("lamp"),
            "an exclusive principal speaks for one thing"
        );
        assert_eq!(of("door", &only).as_deref(), Some("door"));
        assert_eq!(of("anything", &only).as_deref(), Some("door"));
        assert_eq!(of("gate", &only).as_deref(), Some("gate"));
        assert_eq!(of("gate", &shared).as_deref(), Some("gate"));
        assert_eq!(of("anything", &shared), None);
        assert_eq!(of("lamp", &nobodys).as_deref(), Some("lamp"));
        assert_eq!(of("lamp", "not a certificate").as_deref(), Some("lamp"));
        assert_eq!(of("", ""), None);
        assert_eq!(of("stranger", ""), None);
    }
}
