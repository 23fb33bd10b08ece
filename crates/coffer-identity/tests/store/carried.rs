//! Users of an older store are carried forward.

use std::sync::Arc;

use coffer_base::drive::SimWorld;
use coffer_base::rng::SeededRng;
use coffer_base::{Ack, Timestamp};
use coffer_catalog::{Catalog, Engine, MemEngine};
use coffer_iam::Action;
use coffer_identity::{KeyCheck, PolicyText};

use crate::store::*;

/// The rows of an older store, byte for byte as it wrote them.
fn old_rows(names: &[&str]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    let mut rows = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let key = format!("{name}-key");
        let mut user = vec![1, 100, u8::from(i != 1)];
        user.extend(text(OWNER));
        user.push(1);
        user.extend(text(&key));
        user.push(2);
        user.push(0);
        user.extend(text("readonly"));
        user.push(1);
        user.extend(
            [(ALLOW_ALL.len() as u8 & 0x7f) | 0x80, (ALLOW_ALL.len() >> 7) as u8]
                .iter()
                .filter(|_| ALLOW_ALL.len() > 127),
        );
        if ALLOW_ALL.len() <= 127 {
            user.push(ALLOW_ALL.len() as u8);
        }
        user.extend(ALLOW_ALL.as_bytes());
        let mut access_key = vec![1];
        access_key.extend(text(name));
        access_key.extend(text(&format!("{name}-plain-secret")));
        access_key.push(100);
        rows.push(([b"I", name.as_bytes(), b"\0\x01"].concat(), user));
        rows.push(([b"K", key.as_bytes(), b"\0\x01"].concat(), access_key));
    }
    rows
}

fn put(catalog: &Catalog, rows: Vec<(Vec<u8>, Vec<u8>)>) {
    run(async {
        let plan = move |txn: &mut coffer_catalog::Txn<'_>| -> Result<(), ()> {
            rows.iter().for_each(|(key, value)| txn.put(key, value));
            Ok(())
        };
        catalog.commit(Ack::All, 4096, plan).await.unwrap();
    });
}

fn old_store(names: &[&str]) -> SimWorld {
    let world = SimWorld::new(3);
    let engine: Arc<dyn Engine> = Arc::new(MemEngine::new());
    let (rng, clock) = (Arc::new(SeededRng::new(1)), Arc::new(TickingClock::default()));
    let catalog = open_catalog(&world, &engine, &rng, &clock).unwrap();
    put(&catalog, old_rows(names));
    assert!(KeyCheck::of(&catalog).unwrap().is_none());
    catalog.close().unwrap();
    world
}

/// Everybody is there as before.
fn check(store: &Store, names: &[(&str, &str)]) {
    store.check();
    run(async {
        let users = store.identity.all_users(&on_all(Action::AdminUsers)).await.unwrap();
        assert_eq!(users.len(), names.len());
        for (i, (old, new)) in names.iter().enumerate() {
            let user = users.iter().find(|user| user.name == *new).unwrap();
            assert_eq!(user.enabled, i != 1, "{new}");
            assert_eq!(user.created, Timestamp(100));
            let policies =
                [PolicyText::Canned("readonly".to_owned()), PolicyText::Json(ALLOW_ALL.to_owned())];
            assert_eq!(user.policies, policies);
            let key = format!("{old}-key");
            assert_eq!(user.access_keys, std::slice::from_ref(&key));
            let now = Timestamp(200);
            let found = store.identity.credential(&key, None, now).await.unwrap().unwrap();
            assert_eq!(found.secret, format!("{old}-plain-secret"));
            assert_eq!(found.principal.owner_id, OWNER);
            assert!(!store.holds(&found.secret), "it is sealed now");
        }
    });
    let left = |space: u8| store.catalog.snapshot().prefix(&[space]).count();
    assert_eq!((left(b'I'), left(b'K')), (0, 0));
}

#[test]
fn old_users_work_on_and_their_secrets_are_sealed() {
    let mut store = Store::over(old_store(&["anna", "berta", "carla"])).unwrap();
    let names = [("anna", "anna"), ("berta", "berta"), ("carla", "carla")];
    check(&store, &names);
    store.reopen(true);
    check(&store, &names);
}

#[test]
fn names_that_differ_in_case_alone_stay_apart() {
    let store = Store::over(old_store(&["Anna", "anna"])).unwrap();
    check(&store, &[("Anna", "Anna"), ("anna", "anna-2")]);
}

#[test]
fn a_power_cut_at_any_step_of_carrying_forward_loses_nobody() {
    let names = ["anna", "berta", "carla"];
    let old = old_store(&names);
    let all = old.fork();
    let before = all.operations();
    drop(Store::over(all.fork()).unwrap());
    let mut cuts = 0;
    for step in 1.. {
        let world = old.fork();
        world.cut_power_at(before + step);
        let engine: Arc<dyn Engine> = Arc::new(MemEngine::new());
        let (rng, clock) = (Arc::new(SeededRng::new(1)), Arc::new(TickingClock::default()));
        let outcome = open_catalog(&world, &engine, &rng, &clock);
        let outcome = outcome.map(|catalog| open_identity(&catalog, &key(7), &rng, &clock));
        if !world.is_down() {
            assert!(matches!(outcome, Ok(Ok(_))));
            break;
        }
        drop(outcome);
        world.power_cut();
        cuts += 1;
        let store = Store::over(world).unwrap();
        check(&store, &[("anna", "anna"), ("berta", "berta"), ("carla", "carla")]);
    }
    assert!(cuts > 10, "only {cuts} steps were cut");
}

/// An old user with one key and one document.
fn with_document(name: &str, document: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = old_rows(&[name]);
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    let mut user = vec![1, 100, 1];
    user.extend(text(OWNER));
    user.push(1);
    user.extend(text(&format!("{name}-key")));
    user.extend([1, 1, (document.len() as u8 & 0x7f) | 0x80, (document.len() >> 7) as u8]);
    user.extend(document.as_bytes());
    rows[0].1 = user;
    rows
}

fn carried(documents: &[(&str, &str)]) -> Store {
    let world = SimWorld::new(3);
    let engine: Arc<dyn Engine> = Arc::new(MemEngine::new());
    let (rng, clock) = (Arc::new(SeededRng::new(1)), Arc::new(TickingClock::default()));
    let catalog = open_catalog(&world, &engine, &rng, &clock).unwrap();
    for (name, document) in documents {
        put(&catalog, with_document(name, &format!("{document:<200}")));
    }
    catalog.close().unwrap();
    Store::over(world).unwrap()
}

#[test]
fn documents_of_an_older_grammar_lock_nobody_out() {
    let statement = |sid: &str, action: &str| {
        format!(r#"{{"Sid":"{sid}","Effect":"Allow","Action":"{action}","Resource":"*"}}"#)
    };
    let of = |statements: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    let sid = of(&statement("read-all", "s3:Get*"));
    let twice = of(&format!("{},{}", statement("a", "s3:Get*"), statement("a", "s3:List*")));
    let all = of(&statement("a", "*:*"));
    let odd = of(&statement("a", "s3 Get"));
    let store = carried(&[("sid", &sid), ("twice", &twice), ("all", &all), ("odd", &odd)]);
    store.check();
    run(async {
        let i = &store.identity;
        let may = async |user: &str, action: Action| {
            let key = format!("{user}-key");
            let found = i.credential(&key, None, Timestamp(200)).await.unwrap().unwrap();
            let on_user = coffer_iam::Resource::iam(coffer_iam::Scope::User, "*");
            let resource = match action.service() {
                "iam" => on_user,
                _ => coffer_iam::Resource::object("b", "k"),
            };
            let ask = coffer_iam::Ask::new(action, &resource);
            found.enabled && coffer_iam::authorize(&found.principal, &ask).is_ok()
        };
        for user in ["sid", "twice", "all"] {
            assert!(may(user, Action::GetObject).await, "{user}");
            assert!(!may(user, Action::CreateUser).await, "{user} was no administrator");
        }
        assert!(!may("odd", Action::GetObject).await, "what can't be read allows nothing");
        // It is not thrown away, and counts again when it is mended.
        let admin = on_all(Action::AdminUsers);
        let error = refused(i.set_user_enabled(&admin, "odd", true).await);
        assert!(error.to_string().contains("policy-01"), "{error}");
        i.set_user_policies(&admin, "odd", &[PolicyText::Json(ALLOW_ALL.to_owned())])
            .await
            .unwrap();
        i.set_user_enabled(&admin, "odd", true).await.unwrap();
        assert!(may("odd", Action::GetObject).await);
    });
    store.check();
}
