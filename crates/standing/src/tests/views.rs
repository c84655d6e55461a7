//! What views are made of, and how standings come and go.

use identity::Principal;
use registry::thing_groups::THING_GROUPS;
use store::memory::MemoryStore;
use store::{Batch, Key, Store, StoreError, block_on};

use super::world::*;
use crate::{Principals, Unread};

const ALL: &str = r#"{"Effect":"Allow","Action":"iot:*","Resource":"*"}"#;

/// A certificate that is ACTIVE, and what else is written.
fn registry(more: impl FnOnce(&mut Batch)) -> (MemoryStore, Principals) {
    let store = MemoryStore::new();
    let mut batch = Batch::new();
    set_certificate(&mut batch, true);
    more(&mut batch);
    block_on(store.commit(batch)).unwrap();
    (store.clone(), principals(store))
}

fn certificate_arn() -> String {
    site().arn("cert", ID)
}

#[test]
fn a_certificate_may_do_what_its_policies_allow() {
    let (_, principals) = registry(|batch| {
        set_policy(batch, "p", &document(ALL));
        attach(batch, &certificate_arn(), "p");
        attach(batch, &certificate_arn(), "gone");
    });
    let standing = block_on(principals.momentary(certificate())).unwrap();
    assert!(standing.is_active() && may_publish(&standing.view(), "a"));
}

#[test]
fn a_certificate_that_nobody_registered_is_not_active() {
    let principals = principals(MemoryStore::new());
    let standing = block_on(principals.momentary(certificate())).unwrap();
    assert!(!standing.is_active() && !may_publish(&standing.view(), "a"));
    assert_eq!(standing.inactivity(), "the certificate is INACTIVE");
}

#[test]
fn a_policy_that_cannot_be_read_is_named() {
    let (_, principals) = registry(|batch| {
        set_policy(batch, "damaged", &document(r#"{"Effect":"Deny","Acti"#));
        attach(batch, &certificate_arn(), "damaged");
    });
    let unread = block_on(principals.view(&certificate())).unwrap_err();
    assert!(matches!(&unread, Unread::Policy { name, .. } if &**name == "damaged"), "{unread}");
    assert!(matches!(StoreError::from(unread), StoreError::Unavailable { .. }));
}

#[test]
fn a_store_that_does_not_answer_lets_nobody_in() {
    let (store, principals) = registry(|_| {});
    store.fail("no disk");
    assert!(matches!(block_on(principals.lasting(certificate())), Err(Unread::Store(_))));
    let plain = bearer(Principal::Plain("tests".into()));
    assert!(may_publish(&block_on(principals.view(&plain)).unwrap(), "a"), "it asks for no record");
}

#[test]
fn groups_that_are_each_others_parents_are_read_all_the_same() {
    let (_, principals) = registry(|batch| {
        for change in [
            Change::Thing(0, Some((true, false))),
            Change::Principal(0, 0, Some(false)),
            Change::Membership(0, 0, true),
            Change::Group(0, Some(true)),
            Change::Group(1, Some(true)),
            Change::Policy(1, Some(0)),
            Change::Attachment(3, 1, true),
        ] {
            change.write(batch);
        }
    });
    let view = block_on(principals.view(&certificate())).unwrap();
    assert!(may_publish(&view, "a"), "by the parent of the thing's group");
    let read =
        |name| view.read.iter().any(|one| one.space == THING_GROUPS.space() && one.key == Key::of(&[name]));
    assert!(read("g0") && read("g1"));
}

#[test]
fn only_a_lasting_standing_is_found_and_only_while_it_lives() {
    let (_, principals) = registry(|_| {});
    let momentary = block_on(principals.momentary(certificate())).unwrap();
    assert_eq!(principals.records(), 0);
    let lasting = block_on(principals.lasting(certificate())).unwrap();
    assert_ne!(lasting.id, momentary.id);
    assert_eq!(principals.everyone(store::Revision(1)).len(), 1);
    drop((momentary, lasting));
    assert_eq!((principals.records(), principals.everyone(store::Revision(1)).len()), (0, 0));
}
