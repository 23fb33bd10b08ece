//! A change is there whole or not at all, whenever the power goes; once answered it is there.

use coffer_base::Timestamp;
use coffer_base::drive::SimWorld;
use coffer_iam::Action;
use coffer_identity::{AddUser, PolicyText};

use crate::store::*;

#[test]
fn a_user_is_there_whole_or_not_at_all() {
    let old = SimWorld::new(5);
    Store::over(old.fork()).unwrap().catalog.close().unwrap();
    let mut cuts = 0;
    for step in 1.. {
        let world = old.fork();
        world.reseed(step);
        let store = Store::over(world).unwrap();
        store.world.cut_power_at(store.world.operations() + step);
        let admin = on_all(Action::AdminUsers);
        let user = AddUser {
            name: "anna".to_owned(),
            access_key: Some("anna-key".to_owned()),
            secret: Some("anna-secret".to_owned()),
            policies: vec![PolicyText::Canned("readonly".to_owned())],
        };
        let added = run(store.identity.add_user(&admin, user)).is_ok();
        if !store.world.is_down() {
            assert!(added);
            break;
        }
        cuts += 1;
        let Store { world, .. } = store;
        world.power_cut();
        let after = Store::over(world).unwrap();
        after.check();
        let found = run(after.identity.credential("anna-key", None, Timestamp(1))).unwrap();
        assert!(found.is_some() || !added, "an answered user is lost");
    }
    assert!(cuts >= 2, "only {cuts} steps were cut");
}
