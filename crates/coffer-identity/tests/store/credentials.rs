//! What access keys stand for, and how soon they stop.

use std::future::Future as _;

use coffer_base::{Clock, Timestamp};
use coffer_iam::{Action, Ask, Grant, Policy, Principal, Resource, Scope, authorize};
use coffer_identity::{
    AddUser, AssumeRole, CreatePolicy, CreateRole, CreateUser, Error, Issued, Kind, PolicyText, arn,
};

use crate::store::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn add(name: &str) -> AddUser {
    AddUser {
        name: name.to_owned(),
        access_key: Some(format!("{name}-key")),
        secret: Some(format!("{name}-secret")),
        policies: vec![PolicyText::Canned("readonly".to_owned())],
    }
}

/// Whether the key may do `action` on an object.
async fn may(store: &Store, access_key: &str, token: Option<&str>, action: Action) -> bool {
    let found = store.identity.credential(access_key, token, NOW).await.unwrap();
    let Some(credential) = found.filter(|credential| credential.enabled) else { return false };
    let resource = Resource::object("b", "k");
    authorize(&credential.principal, &Ask::new(action, &resource)).is_ok()
}

#[test]
fn a_change_counts_from_the_next_request_on() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let admin = on_all(Action::AdminUsers);
        let anna = i.add_user(&admin, add("anna")).await.unwrap();
        assert_eq!((anna.access_key.as_str(), anna.secret.as_str()), ("anna-key", "anna-secret"));
        let found = i.credential("anna-key", None, NOW).await.unwrap().unwrap();
        assert_eq!(
            (found.secret.as_str(), found.principal.owner_id.as_str()),
            ("anna-secret", OWNER)
        );
        assert_eq!(found.principal.arn(), "arn:aws:iam::111122223333:user/anna");
        assert!(!format!("{found:?}").contains("secret"));
        for nobody in ["", "ab", "nobody", "anna-keyx", &"x".repeat(9000)] {
            assert!(i.credential(nobody, None, NOW).await.unwrap().is_none(), "{nobody:.10}");
        }
        assert!(may(&store, "anna-key", None, Action::GetObject).await);
        assert!(!may(&store, "anna-key", None, Action::PutObject).await);
        let readwrite = [PolicyText::Canned("readwrite".to_owned())];
        i.set_user_policies(&admin, "anna", &readwrite).await.unwrap();
        assert!(may(&store, "anna-key", None, Action::PutObject).await);
        i.set_user_enabled(&admin, "anna", false).await.unwrap();
        assert!(!may(&store, "anna-key", None, Action::PutObject).await);
        i.set_user_enabled(&admin, "anna", true).await.unwrap();
        assert!(may(&store, "anna-key", None, Action::PutObject).await);
        let update = on(Action::UpdateAccessKey, Kind::User, "anna");
        i.update_access_key(&update, Some("anna"), "anna-key", false).await.unwrap();
        assert!(!may(&store, "anna-key", None, Action::PutObject).await);
        i.update_access_key(&update, Some("anna"), "anna-key", true).await.unwrap();

        // A group, and a new default version of a policy of it.
        let group = on(Action::CreateGroup, Kind::Group, "g");
        i.create_group(&group, "g", "").await.unwrap();
        i.set_user_policies(&admin, "anna", &[]).await.unwrap();
        let join = on(Action::AddUserToGroup, Kind::Group, "g");
        i.add_user_to_group(&join, "g", "anna").await.unwrap();
        assert!(!may(&store, "anna-key", None, Action::PutObject).await);
        let policy = CreatePolicy {
            name: "p".to_owned(),
            document: ALLOW_ALL.to_owned(),
            ..CreatePolicy::default()
        };
        let create = on(Action::CreatePolicy, Kind::Policy, "p");
        let p = i.create_policy(&create, policy).await.unwrap().arn;
        let attach = on(Action::AttachGroupPolicy, Kind::Group, "g");
        i.attach_policy(&attach, Kind::Group, "g", &p).await.unwrap();
        assert!(may(&store, "anna-key", None, Action::PutObject).await);
        let deny = ALLOW_ALL.replace("Allow", "Deny");
        let version = on_arn(Action::CreatePolicyVersion, &p);
        i.create_policy_version(&version, &p, deny, true).await.unwrap();
        assert!(!may(&store, "anna-key", None, Action::PutObject).await);
        let set = on_arn(Action::SetDefaultPolicyVersion, &p);
        i.set_default_policy_version(&set, &p, "v1").await.unwrap();
        assert!(may(&store, "anna-key", None, Action::PutObject).await);
        // A boundary takes away what policies allow.
        let bound = on(Action::PutUserPermissionsBoundary, Kind::User, "anna");
        let readonly = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
        i.put_boundary(&bound, Kind::User, "anna", readonly).await.unwrap();
        assert!(!may(&store, "anna-key", None, Action::PutObject).await);
        assert!(may(&store, "anna-key", None, Action::GetObject).await);
        let listed = i.all_users(&admin).await.unwrap();
        assert_eq!((listed.len(), &listed[0].groups[..]), (1, &["g".to_owned()][..]));
        i.remove_user(&admin, "anna").await.unwrap();
        assert!(i.credential("anna-key", None, NOW).await.unwrap().is_none());
    });
    store.check();
}

#[test]
fn the_operator_is_root_of_the_first_account_by_the_settings_alone() {
    let store = Store::new();
    run(async {
        let root = store.identity.credential(ROOT_KEY, None, NOW).await.unwrap().unwrap();
        assert_eq!(root.principal.arn(), "arn:aws:iam::111122223333:root");
        assert_eq!(root.secret, "operator-secret");
    });
    assert!(!store.holds("operator-secret"));
}

#[test]
fn no_secret_is_in_the_index_or_on_a_drive() {
    let store = Store::new();
    let i = &store.identity;
    let secrets = run(async {
        let admin = on_all(Action::AdminUsers);
        let mut secrets = vec![i.add_user(&admin, add("anna")).await.unwrap().secret];
        let random = AddUser { access_key: None, secret: None, ..add("berta") };
        secrets.push(i.add_user(&admin, random).await.unwrap().secret);
        let keys = on(Action::CreateAccessKey, Kind::User, "anna");
        secrets.push(i.create_access_key(&keys, Some("anna")).await.unwrap().secret);
        let accounts = on_all(Action::AdminAccounts);
        secrets.push(i.create_account(&accounts, "t").await.unwrap().secret);
        let session = i.session_token("anna-key", None).unwrap();
        secrets.extend([session.secret, session.token]);
        secrets
    });
    store.catalog.close().unwrap();
    let mut found_key = false;
    for drive in ["d0", "d1"] {
        for (name, len) in store.world.files(drive) {
            let drive = store.world.drive(drive);
            let file =
                coffer_base::Drive::open(&*drive, &name, coffer_base::drive::Access::Buffered);
            let mut content = vec![0; len as usize];
            file.unwrap().read_at(&mut content, 0).unwrap();
            found_key |= find(&content, b"anna-key");
            for secret in &secrets {
                assert!(!find(&content, secret.as_bytes()), "{secret} is in {name}");
            }
        }
    }
    assert!(found_key, "what is looked for would be found");
    for secret in &secrets {
        assert!(!store.holds(secret), "{secret} is in the index");
    }
    assert!(store.holds("anna-key"));
}

fn find(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|w| w == text)
}

fn session_of(name: &str) -> AssumeRole {
    AssumeRole { session_name: name.to_owned(), ..AssumeRole::default() }
}

async fn role(store: &Store, name: &str) -> Grant {
    let request = CreateRole {
        name: name.to_owned(),
        trust: TRUST_ROOT.to_owned(),
        session_secs_max: Some(7200),
        ..CreateRole::default()
    };
    let grant = on(Action::CreateRole, Kind::Role, name);
    store.identity.create_role(&grant, request).await.unwrap();
    let attach = on(Action::AttachRolePolicy, Kind::Role, name);
    let readwrite = "arn:aws:iam::aws:policy/coffer/readwrite";
    store.identity.attach_policy(&attach, Kind::Role, name, readwrite).await.unwrap();
    assume(name)
}

/// The permission to take a role on: root asks the trust policy.
fn assume(name: &str) -> Grant {
    let trust = Policy::parse(TRUST_ROOT, coffer_iam::policy::Kind::Trust).unwrap();
    let resource = Resource::iam(Scope::Role, arn(account(), Kind::Role, "/", name));
    let ask = Ask::new(Action::AssumeRole, &resource);
    let ask = Ask { owner: Some(ACCOUNT), resource_policy: Some(&trust), ..ask };
    authorize(&store_root(), &ask).unwrap()
}

fn store_root() -> Principal {
    Principal::root(ACCOUNT, OWNER)
}

async fn of(store: &Store, issued: &Issued, now: Timestamp) -> Result<Option<String>, Error> {
    let token = Some(issued.token.as_str());
    let found = store.identity.credential(&issued.access_key, token, now).await?;
    Ok(found.filter(|found| found.enabled).map(|found| found.principal.arn()))
}

#[test]
fn a_session_of_a_role_lasts_as_long_as_the_role_and_its_time() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let grant = role(&store, "r").await;
        let issued = i.assume_role(&grant, session_of("me")).unwrap();
        assert_eq!(issued.arn, "arn:aws:sts::111122223333:assumed-role/r/me");
        assert!(issued.access_key.starts_with("ASIA"));
        let arn = Some(issued.arn.clone());
        assert_eq!(of(&store, &issued, NOW).await, Ok(arn.clone()));
        let token = Some(issued.token.as_str());
        let found = i.credential(&issued.access_key, token, NOW).await.unwrap().unwrap();
        assert_eq!(found.secret, issued.secret);
        assert_eq!(found.principal.id, issued.id);
        let context = &found.principal.context;
        assert!(context.get("aws:TokenIssueTime").is_some());
        assert_eq!(context.get("aws:MultiFactorAuthPresent").unwrap(), ["false"]);
        // Its end, also when it is in the cache.
        let last = Timestamp(issued.expires.0 - 1);
        assert_eq!(of(&store, &issued, last).await, Ok(arn));
        assert_eq!(of(&store, &issued, issued.expires).await, Err(Error::ExpiredToken));
        // Without its token, and with another's.
        assert!(i.credential(&issued.access_key, None, NOW).await.unwrap().is_none());
        let other = i.assume_role(&grant, session_of("you")).unwrap();
        let mixed = i.credential(&issued.access_key, Some(&other.token), NOW).await;
        assert_eq!(refused(mixed), Error::InvalidToken);
        let garbage = i.credential(&issued.access_key, Some("garbage"), NOW).await;
        assert_eq!(refused(garbage), Error::InvalidToken);
        let long = "A".repeat(100_000);
        let long = i.credential(&issued.access_key, Some(&long), NOW).await;
        assert_eq!(refused(long), Error::InvalidToken);
        let with_root = i.credential(ROOT_KEY, Some(&other.token), NOW).await;
        assert_eq!(refused(with_root), Error::InvalidToken);
        // Policies are read as they are at the use.
        assert!(may(&store, &issued.access_key, token, Action::PutObject).await);
        let detach = on(Action::DetachRolePolicy, Kind::Role, "r");
        let readwrite = "arn:aws:iam::aws:policy/coffer/readwrite";
        i.detach_policy(&detach, Kind::Role, "r", readwrite).await.unwrap();
        assert!(!may(&store, &issued.access_key, token, Action::PutObject).await);
        i.delete_role(&on(Action::DeleteRole, Kind::Role, "r"), "r").await.unwrap();
        assert_eq!(of(&store, &issued, NOW).await, Ok(None));
        // One of the same name is another role.
        role(&store, "r").await;
        assert_eq!(of(&store, &issued, NOW).await, Ok(None));
        let late = i.assume_role(&assume("gone"), session_of("me"));
        assert!(matches!(refused(late), Error::ConcurrentModification(_)));
    });
    store.check();
}

#[test]
fn session_policies_and_durations_have_their_limits() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let grant = role(&store, "r").await;
        let get = ALLOW_ALL.replace("s3:*", "s3:GetObject");
        let narrow = AssumeRole { policy: Some(get), ..session_of("me") };
        let issued = i.assume_role(&grant, narrow).unwrap();
        let token = Some(issued.token.as_str());
        assert!(may(&store, &issued.access_key, token, Action::GetObject).await);
        assert!(!may(&store, &issued.access_key, token, Action::PutObject).await);
        let by_arn = AssumeRole {
            policy_arns: vec!["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess".to_owned()],
            ..session_of("me")
        };
        let issued = i.assume_role(&grant, by_arn).unwrap();
        let token = Some(issued.token.as_str());
        assert!(may(&store, &issued.access_key, token, Action::GetObject).await);
        assert!(!may(&store, &issued.access_key, token, Action::PutObject).await);
        let tagged = AssumeRole {
            tags: vec![("team".to_owned(), "a".to_owned())],
            context: vec![("aws:SourceIdentity".to_owned(), "ada".to_owned())],
            ..session_of("me")
        };
        let issued = i.assume_role(&grant, tagged).unwrap();
        let token = Some(issued.token.as_str());
        let found = i.credential(&issued.access_key, token, NOW).await.unwrap().unwrap();
        assert_eq!(found.principal.tags, [("team".to_owned(), "a".to_owned())]);
        assert_eq!(found.principal.context.get("aws:SourceIdentity").unwrap(), ["ada"]);

        let lasting =
            |secs, chained| AssumeRole { duration_secs: Some(secs), chained, ..session_of("me") };
        i.assume_role(&grant, lasting(900, false)).unwrap();
        i.assume_role(&grant, lasting(7200, false)).unwrap();
        i.assume_role(&grant, lasting(3600, true)).unwrap();
        for (secs, chained) in [(899, false), (0, false), (7201, false), (3601, true)] {
            let refusal = i.assume_role(&grant, lasting(secs, chained));
            assert!(matches!(refused(refusal), Error::Validation(_)), "{secs}");
        }
        for bad in [
            session_of("x"),
            session_of("a b"),
            AssumeRole { policy: Some("x".repeat(2049)), ..session_of("me") },
            AssumeRole { policy: Some("{}".to_owned()), ..session_of("me") },
            AssumeRole { policy_arns: vec![String::new()], ..session_of("me") },
            AssumeRole {
                policy_arns: vec!["arn:aws:iam::111122223333:policy/no".to_owned()],
                ..session_of("me")
            },
            AssumeRole { policy_arns: vec!["arn:x".to_owned(); 11], ..session_of("me") },
        ] {
            assert!(i.assume_role(&grant, bad.clone()).is_err(), "{bad:?}");
        }
    });
}

#[test]
fn a_session_of_a_user_ends_with_its_key() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let admin = on_all(Action::AdminUsers);
        i.add_user(&admin, add("anna")).await.unwrap();
        let issued = i.session_token("anna-key", None).unwrap();
        assert_eq!(issued.expires.0 / 1000 - store.clock.now().0 / 1000, 43_200 - 1);
        let anna = Some("arn:aws:iam::111122223333:user/anna".to_owned());
        assert_eq!(of(&store, &issued, NOW).await, Ok(anna.clone()));
        assert!(
            matches!(refused(i.session_token(&issued.access_key, None)), Error::InvalidInput(_)),
            "not from a session"
        );
        assert!(matches!(refused(i.session_token("nobody", None)), Error::InvalidInput(_)));
        assert!(matches!(refused(i.session_token("anna-key", Some(60))), Error::Validation(_)));
        let update = on(Action::UpdateAccessKey, Kind::User, "anna");
        i.update_access_key(&update, Some("anna"), "anna-key", false).await.unwrap();
        assert_eq!(of(&store, &issued, NOW).await, Ok(None));
        i.update_access_key(&update, Some("anna"), "anna-key", true).await.unwrap();
        assert_eq!(of(&store, &issued, NOW).await, Ok(anna.clone()));
        i.set_user_enabled(&admin, "anna", false).await.unwrap();
        assert_eq!(of(&store, &issued, NOW).await, Ok(None));
        i.set_user_enabled(&admin, "anna", true).await.unwrap();
        i.remove_user(&admin, "anna").await.unwrap();
        assert_eq!(of(&store, &issued, NOW).await, Ok(None));
        // Another user that gets the same key is not the one that the session is of.
        i.add_user(&admin, add("anna")).await.unwrap();
        assert_eq!(of(&store, &issued, NOW).await, Ok(None));

        let root = i.session_token(ROOT_KEY, Some(43_200)).unwrap();
        assert!(root.expires.0 - store.clock.now().0 <= 3_600_000, "an hour for root");
        let arn = Some("arn:aws:iam::111122223333:root".to_owned());
        assert_eq!(of(&store, &root, NOW).await, Ok(arn));
    });
}

#[test]
fn the_secret_of_another_access_key_does_not_open() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let admin = on_all(Action::AdminUsers);
        i.add_user(&admin, add("anna")).await.unwrap();
        i.add_user(&admin, add("berta")).await.unwrap();
        // Whoever can write rows moves anna's sealed secret under berta's key.
        let at = |name: &str| [b"Ak", name.as_bytes(), b"-key\0\x01"].concat();
        let anna = store.catalog.get(&at("anna")).unwrap().unwrap();
        let berta = at("berta");
        store
            .catalog
            .commit(coffer_base::Ack::All, 1024, move |txn| -> Result<(), ()> {
                txn.put(&berta, &anna);
                Ok(())
            })
            .await
            .unwrap();
    });
    let fresh = store.open_with(&key(7)).unwrap();
    let opened = run(fresh.credential("berta-key", None, NOW));
    assert!(matches!(refused(opened), Error::Corrupt(_)));
}

#[test]
fn users_made_either_way_are_the_same_users() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let admin = on_all(Action::AdminUsers);
        let create = on(Action::CreateUser, Kind::User, "carla");
        let request = CreateUser { name: "carla".to_owned(), ..CreateUser::default() };
        i.create_user(&create, request).await.unwrap();
        assert!(matches!(
            refused(i.add_user(&admin, add("Carla")).await),
            Error::EntityAlreadyExists(_)
        ));
        i.add_user(&admin, add("anna")).await.unwrap();
        let same_key = AddUser { access_key: Some("anna-key".to_owned()), ..add("dora") };
        assert!(matches!(
            refused(i.add_user(&admin, same_key).await),
            Error::EntityAlreadyExists(_)
        ));
        for bad in [
            AddUser { name: "root".to_owned(), ..add("x") },
            AddUser { access_key: Some("ASIAX".to_owned()), ..add("x") },
            AddUser { access_key: Some("ab".to_owned()), ..add("x") },
            AddUser { secret: Some("short".to_owned()), ..add("x") },
            AddUser { policies: vec![PolicyText::Canned("no".to_owned())], ..add("x") },
            AddUser { policies: vec![PolicyText::Json("{".to_owned())], ..add("x") },
            AddUser { policies: vec![PolicyText::Managed("arn:x".to_owned())], ..add("x") },
        ] {
            assert!(i.add_user(&admin, bad).await.is_err());
        }
        let names: Vec<_> =
            i.all_users(&admin).await.unwrap().into_iter().map(|user| user.name).collect();
        assert_eq!(names, ["anna", "carla"]);
    });
    store.check();
}

#[test]
fn a_change_whose_caller_went_away_counts_too() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        i.add_user(&on_all(Action::AdminUsers), add("anna")).await.unwrap();
        assert!(may(&store, "anna-key", None, Action::GetObject).await);
        store.catalog.gather();
        let update = on(Action::UpdateAccessKey, Kind::User, "anna");
        let mut change = Box::pin(i.update_access_key(&update, Some("anna"), "anna-key", false));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(change.as_mut().poll(&mut context).is_pending());
        drop(change);
        assert!(may(&store, "anna-key", None, Action::GetObject).await, "it is kept again");
        store.catalog.run_gathered();
        assert!(!may(&store, "anna-key", None, Action::GetObject).await);
    });
}

#[test]
fn a_session_of_the_operator_ends_with_its_secret() {
    let store = Store::new();
    let issued = store.identity.session_token(ROOT_KEY, None).unwrap();
    let found = |i: &coffer_identity::Identity| {
        run(i.credential(&issued.access_key, Some(&issued.token), NOW)).unwrap()
    };
    assert!(found(&store.identity).unwrap().principal.is_root());
    let root = |access_key: &str, secret: &str| {
        let root = coffer_identity::RootKey {
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
        };
        let default = coffer_identity::DefaultAccount { root: Some(root), ..default_account() };
        let seams = coffer_identity::IdentitySeams {
            clock: store.clock.clone(),
            rng: std::sync::Arc::new(coffer_base::rng::SeededRng::new(5)),
        };
        let key = key(7);
        let open = coffer_identity::Identity::open(store.catalog.clone(), &key, seams, default);
        run(open).unwrap()
    };
    assert!(found(&root(ROOT_KEY, "operator-secret")).is_some(), "a restart ends nothing");
    assert!(found(&root(ROOT_KEY, "another-secret")).is_none());
    assert!(found(&root("OTHER", "operator-secret")).is_none());
}

#[test]
fn a_refused_deletion_of_a_key_forgets_no_last_use() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let admin = on_all(Action::AdminUsers);
        i.add_user(&admin, add("anna")).await.unwrap();
        i.add_user(&admin, add("berta")).await.unwrap();
        i.note_use("anna-key", "s3", "mars-1", NOW);
        let delete = on(Action::DeleteAccessKey, Kind::User, "berta");
        refused(i.delete_access_key(&delete, Some("berta"), "anna-key").await);
        let ask = on(Action::GetAccessKeyLastUsed, Kind::User, "anna");
        let (_, last) = i.access_key_last_used(&ask, "anna-key").await.unwrap();
        assert_eq!(last.unwrap().at, NOW);
    });
}
