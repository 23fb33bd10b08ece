//! Users, through the store.

use coffer_iam::{Action, Ask, Resource, authorize};
use coffer_objects::{AddUser, Error, PolicyText};

use crate::store::{Store, on_store, refused, run};

fn user(name: &str) -> AddUser {
    AddUser {
        name: name.to_owned(),
        access_key: Some(format!("{name}-key")),
        secret: Some("a secret".replace(' ', "-")),
        policies: vec![PolicyText::Canned("readonly".to_owned())],
    }
}

#[test]
fn users_come_change_and_go_and_their_keys_with_them() {
    let mut store = Store::new();
    let admin = on_store(Action::AdminUsers);
    run(async {
        let objects = &store.objects;
        assert!(objects.principal_by_access_key("anna-key").await.unwrap().is_none());
        let anna = objects.add_user(&admin, user("anna")).await.unwrap();
        assert_eq!(anna.access_key, "anna-key");
        let berta = AddUser { access_key: None, secret: None, ..user("berta") };
        let berta = objects.add_user(&admin, berta).await.unwrap();
        assert_eq!((berta.access_key.len(), berta.secret.len()), (20, 40));
        for user in [&anna.user, &berta.user] {
            assert_eq!(user.owner_id, admin.owner_id(), "a store has one account");
        }

        assert_eq!(refused(objects.add_user(&admin, user("anna")).await), Error::UserExists);
        let same_key = AddUser { access_key: Some("anna-key".to_owned()), ..user("carla") };
        assert_eq!(refused(objects.add_user(&admin, same_key).await), Error::UserExists);
        for policies in [
            vec![PolicyText::Canned("almighty".to_owned())],
            vec![PolicyText::Json("{".to_owned())],
        ] {
            let error = refused(objects.add_user(&admin, AddUser { policies, ..user("d") }).await);
            assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
        }

        let credential = objects.principal_by_access_key("anna-key").await.unwrap().unwrap();
        assert_eq!((credential.secret.as_str(), credential.enabled), ("a-secret", true));
        assert_eq!(credential.principal.name(), "anna");
        let get = Resource::object("bkt", "k");
        assert!(authorize(&credential.principal, &Ask::new(Action::GetObject, &get)).is_ok());
        assert!(authorize(&credential.principal, &Ask::new(Action::PutObject, &get)).is_err());

        // Each change shows at once, though the key was looked up before.
        let readwrite = vec![PolicyText::Canned("readwrite".to_owned())];
        objects.set_user_policies(&admin, "anna", readwrite.clone()).await.unwrap();
        let credential = objects.principal_by_access_key("anna-key").await.unwrap().unwrap();
        assert!(authorize(&credential.principal, &Ask::new(Action::PutObject, &get)).is_ok());
        objects.set_user_enabled(&admin, "anna", false).await.unwrap();
        let credential = objects.principal_by_access_key("anna-key").await.unwrap().unwrap();
        assert!(!credential.enabled);

        let users = objects.list_users(&admin).await.unwrap();
        let names: Vec<_> = users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["anna", "berta"]);
        assert_eq!((users[0].enabled, &users[0].policies), (false, &readwrite));
    });
    store.check();
    store.reopen(true);
    run(async {
        let objects = &store.objects;
        assert!(objects.principal_by_access_key("anna-key").await.unwrap().is_some());
        objects.remove_user(&admin, "anna").await.unwrap();
        assert!(objects.principal_by_access_key("anna-key").await.unwrap().is_none());
        assert_eq!(refused(objects.remove_user(&admin, "anna").await), Error::NoSuchUser);
        let gone = objects.set_user_enabled(&admin, "anna", true).await;
        assert_eq!(refused(gone), Error::NoSuchUser);
        for odd in ["", "\0", "a/b", &"x".repeat(5000)] {
            assert!(objects.principal_by_access_key(odd).await.unwrap().is_none());
        }
    });
    store.check();
}
