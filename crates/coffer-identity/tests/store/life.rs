//! The lives of users, groups, roles, policies, providers and accounts, with what AWS refuses.

use coffer_iam::{Action, Principal};
use coffer_identity::{
    CreatePolicy, CreateProvider, CreateRole, CreateUser, Error, Kind, ListPolicies, Paging,
    PolicyScope, Use,
};

use crate::store::*;

fn user(name: &str) -> CreateUser {
    CreateUser { name: name.to_owned(), ..CreateUser::default() }
}

fn role(name: &str) -> CreateRole {
    CreateRole { name: name.to_owned(), trust: TRUST_ROOT.to_owned(), ..CreateRole::default() }
}

fn policy(name: &str) -> CreatePolicy {
    CreatePolicy {
        name: name.to_owned(),
        document: ALLOW_ALL.to_owned(),
        ..CreatePolicy::default()
    }
}

#[test]
fn a_user_lives_and_goes_when_nothing_hangs_on_it() {
    let mut store = Store::new();
    let i = store.identity.clone();
    run(async {
        let ada = i.create_user(&on(Action::CreateUser, Kind::User, "Ada"), user("Ada")).await;
        let ada = ada.unwrap();
        assert_eq!(ada.arn, "arn:aws:iam::111122223333:user/Ada");
        assert!(ada.id.starts_with("AIDA") && ada.enabled);
        let again = i.create_user(&on(Action::CreateUser, Kind::User, "ada"), user("ada")).await;
        let what = "User with name ada already exists.";
        assert_eq!(refused(again), Error::EntityAlreadyExists(what.to_owned()));
        let seen = i.user(&on(Action::GetUser, Kind::User, "Ada"), "ADA").await.unwrap();
        assert_eq!(seen, ada, "names are found whatever their case");
        let missing = i.user(&on(Action::GetUser, Kind::User, "Bob"), "Bob").await;
        let what = "The user with name Bob cannot be found.";
        assert_eq!(refused(missing), Error::NoSuchEntity(what.to_owned()));

        // A grant for one is not a grant for another, nor for the same one moved.
        let other = i.user(&on(Action::GetUser, Kind::User, "Eve"), "Ada").await;
        assert!(matches!(refused(other), Error::ConcurrentModification(_)));
        let grant = on(Action::UpdateUser, Kind::User, "Ada");
        let path = Some("/dev/".to_owned());
        let moved = i.update_user(&grant, "Ada", None, path).await.unwrap();
        assert_eq!(moved.arn, "arn:aws:iam::111122223333:user/dev/Ada");
        let stale = i.update_user(&grant, "Ada", Some("Zoe".to_owned()), None).await;
        assert!(matches!(refused(stale), Error::ConcurrentModification(_)));

        i.create_user(&on(Action::CreateUser, Kind::User, "bob"), user("bob")).await.unwrap();
        let grant = on_arn(Action::UpdateUser, &moved.arn);
        let taken = i.update_user(&grant, "Ada", Some("BOB".to_owned()), None).await;
        assert!(matches!(refused(taken), Error::EntityAlreadyExists(_)));
        let named = i.update_user(&grant, "Ada", Some("ADA".to_owned()), None).await.unwrap();
        assert_eq!((named.name.as_str(), &named.id), ("ADA", &ada.id), "its own name is free");
        let ada = on_arn(Action::DeleteUser, &named.arn);

        let keys = on_arn(Action::CreateAccessKey, &named.arn);
        let first = i.create_access_key(&keys, Some("ada")).await.unwrap();
        i.create_access_key(&keys, Some("ada")).await.unwrap();
        let third = i.create_access_key(&keys, Some("ada")).await;
        let what = "Cannot exceed quota for AccessKeysPerUser: 2";
        assert_eq!(refused(third), Error::LimitExceeded(what.to_owned()));
        let conflict =
            |what: &str| Error::DeleteConflict(format!("Cannot delete entity, must {what} first."));
        assert_eq!(refused(i.delete_user(&ada, "ADA").await), conflict("delete access keys"));
        let list = on_arn(Action::ListAccessKeys, &named.arn);
        let all = Paging::default();
        let listed = i.list_access_keys(&list, Some("ada"), &all).await.unwrap().items;
        assert_eq!(listed.len(), 2);
        let delete = on_arn(Action::DeleteAccessKey, &named.arn);
        let nobodys = i.delete_access_key(&delete, Some("ada"), "AKIANOBODY").await;
        assert!(matches!(refused(nobodys), Error::NoSuchEntity(_)));
        let last_used = on_arn(Action::GetAccessKeyLastUsed, &named.arn);
        let key = first.key.access_key;
        assert_eq!(i.access_key_last_used(&last_used, &key).await.unwrap().1, None);
        i.note_use(&key, "s3", "eu-1", coffer_base::Timestamp(5000));
        assert_eq!(i.save_uses().await.unwrap(), 1);
        assert_eq!(i.save_uses().await.unwrap(), 0, "nothing is written twice");
        let (whose, used) = i.access_key_last_used(&last_used, &key).await.unwrap();
        assert_eq!((whose.as_deref(), used.unwrap().service.as_str()), (Some("ADA"), "s3"));
        for key in listed {
            i.delete_access_key(&delete, Some("ada"), &key.access_key).await.unwrap();
        }

        let readonly = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
        let attach = on_arn(Action::AttachUserPolicy, &named.arn);
        i.attach_policy(&attach, Kind::User, "ada", readonly).await.unwrap();
        i.attach_policy(&attach, Kind::User, "ada", readonly).await.unwrap();
        assert_eq!(refused(i.delete_user(&ada, "ADA").await), conflict("detach all policies"));
        let detach = on_arn(Action::DetachUserPolicy, &named.arn);
        i.detach_policy(&detach, Kind::User, "ada", readonly).await.unwrap();
        let again = i.detach_policy(&detach, Kind::User, "ada", readonly).await;
        assert!(matches!(refused(again), Error::NoSuchEntity(_)));
        let strange = i.attach_policy(&attach, Kind::User, "ada", "arn:aws:iam::aws:policy/No");
        assert!(matches!(refused(strange.await), Error::NoSuchEntity(_)));

        let put = on_arn(Action::PutUserPolicy, &named.arn);
        let inline = |document: String| i.put_inline(&put, Kind::User, "ada", "mine", document);
        inline(ALLOW_ALL.to_owned()).await.unwrap();
        let garbage = inline("{".to_owned()).await;
        assert!(matches!(refused(garbage), Error::MalformedPolicyDocument(_)));
        let sid = "x".repeat(2100);
        let long = ALLOW_ALL.replace("\"Effect\"", &format!("\"Sid\":\"{sid}\",\"Effect\""));
        assert!(matches!(refused(inline(long).await), Error::LimitExceeded(_)));
        assert_eq!(refused(i.delete_user(&ada, "ADA").await), conflict("delete policies"));
        let get = on_arn(Action::GetUserPolicy, &named.arn);
        assert_eq!(i.inline(&get, Kind::User, "ada", "mine").await.unwrap(), ALLOW_ALL);
        let delete = on_arn(Action::DeleteUserPolicy, &named.arn);
        i.delete_inline(&delete, Kind::User, "ada", "mine").await.unwrap();
        let gone = i.inline(&get, Kind::User, "ada", "mine").await;
        assert!(matches!(refused(gone), Error::NoSuchEntity(_)));
        i.delete_user(&ada, "ADA").await.unwrap();
        let gone = i.delete_user(&ada, "ADA").await;
        assert!(matches!(refused(gone), Error::NoSuchEntity(_)));
    });
    store.check();
    store.reopen(true);
    store.check();
}

#[test]
fn users_are_in_groups_until_they_leave() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        for g in 0..=10 {
            let name = format!("g{g:02}");
            let grant = on(Action::CreateGroup, Kind::Group, &name);
            i.create_group(&grant, &name, "").await.unwrap();
        }
        i.create_user(&on(Action::CreateUser, Kind::User, "ada"), user("ada")).await.unwrap();
        for g in 0..10 {
            let name = format!("g{g:02}");
            let grant = on(Action::AddUserToGroup, Kind::Group, &name);
            i.add_user_to_group(&grant, &name, "ada").await.unwrap();
            i.add_user_to_group(&grant, &name, "ada").await.unwrap();
        }
        let grant = on(Action::AddUserToGroup, Kind::Group, "g10");
        let more = i.add_user_to_group(&grant, "g10", "ada").await;
        assert!(matches!(refused(more), Error::LimitExceeded(_)));
        let nobody = i.add_user_to_group(&grant, "g10", "nobody").await;
        assert!(matches!(refused(nobody), Error::NoSuchEntity(_)));
        let grant = on(Action::ListGroupsForUser, Kind::User, "ada");
        let page = i.groups_of_user(&grant, "ada", &Paging { items_max: 4, marker: None });
        let page = page.await.unwrap();
        let names: Vec<_> = page.items.iter().map(|g| g.name.as_str()).collect();
        assert_eq!((names, page.next.is_some()), (vec!["g00", "g01", "g02", "g03"], true));
        let next = Paging { items_max: 100, marker: page.next };
        let rest = i.groups_of_user(&grant, "ada", &next).await.unwrap();
        assert_eq!((rest.items.len(), rest.next), (6, None));

        let grant = on(Action::GetGroup, Kind::Group, "g03");
        let (group, users) = i.group(&grant, "g03", &Paging::default()).await.unwrap();
        assert_eq!((group.name.as_str(), users.items[0].name.as_str()), ("g03", "ada"));
        let delete = on(Action::DeleteGroup, Kind::Group, "g03");
        assert!(matches!(refused(i.delete_group(&delete, "g03").await), Error::DeleteConflict(_)));
        let delete_user = on(Action::DeleteUser, Kind::User, "ada");
        let conflict = i.delete_user(&delete_user, "ada").await;
        assert!(matches!(refused(conflict), Error::DeleteConflict(_)));
        let leave = on(Action::RemoveUserFromGroup, Kind::Group, "g03");
        i.remove_user_from_group(&leave, "g03", "ada").await.unwrap();
        let again = i.remove_user_from_group(&leave, "g03", "ada").await;
        assert!(matches!(refused(again), Error::NoSuchEntity(_)));
        i.delete_group(&delete, "g03").await.unwrap();
        // A renamed group keeps its users.
        let grant = on(Action::UpdateGroup, Kind::Group, "g04");
        i.update_group(&grant, "g04", Some("new".to_owned()), None).await.unwrap();
        let grant = on(Action::GetGroup, Kind::Group, "new");
        assert_eq!(i.group(&grant, "new", &Paging::default()).await.unwrap().1.items.len(), 1);
        // The simple face takes everything along.
        i.remove_user(&on_all(Action::AdminUsers), "ada").await.unwrap();
        assert_eq!(i.group(&grant, "new", &Paging::default()).await.unwrap().1.items.len(), 0);
    });
    store.check();
}

#[test]
fn managed_policies_have_versions_and_users() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let create = on(Action::CreatePolicy, Kind::Policy, "p");
        let made = i.create_policy(&create, policy("p")).await.unwrap();
        let p = made.arn.clone();
        assert_eq!(
            (p.as_str(), made.default_version.as_str()),
            ("arn:aws:iam::111122223333:policy/p", "v1")
        );
        let again = i.create_policy(&create, policy("p")).await;
        assert!(matches!(refused(again), Error::EntityAlreadyExists(_)));
        let bad = CreatePolicy { document: "[]".to_owned(), ..policy("q") };
        let bad = i.create_policy(&on(Action::CreatePolicy, Kind::Policy, "q"), bad).await;
        assert!(matches!(refused(bad), Error::MalformedPolicyDocument(_)));

        let version = on_arn(Action::CreatePolicyVersion, &p);
        for n in 2..=5 {
            let made = i.create_policy_version(&version, &p, ALLOW_ALL.to_owned(), n == 3).await;
            let made = made.unwrap();
            assert_eq!((made.id, made.is_default), (format!("v{n}"), n == 3));
        }
        let sixth = i.create_policy_version(&version, &p, ALLOW_ALL.to_owned(), false).await;
        assert!(matches!(refused(sixth), Error::LimitExceeded(_)));
        let delete = on_arn(Action::DeletePolicyVersion, &p);
        let default = i.delete_policy_version(&delete, &p, "v3").await;
        assert!(matches!(refused(default), Error::DeleteConflict(_)));
        let lacking = i.delete_policy_version(&delete, &p, "v9").await;
        assert!(matches!(refused(lacking), Error::NoSuchEntity(_)));
        for bad in ["", "3", "v", "v03", "v-1", "vé"] {
            let bad = i.delete_policy_version(&delete, &p, bad).await;
            assert!(matches!(refused(bad), Error::Validation(_)));
        }
        i.delete_policy_version(&delete, &p, "v5").await.unwrap();
        let made = i.create_policy_version(&version, &p, ALLOW_ALL.to_owned(), false).await;
        assert_eq!(made.unwrap().id, "v6", "numbers are not used again");
        let set = on_arn(Action::SetDefaultPolicyVersion, &p);
        i.set_default_policy_version(&set, &p, "v1").await.unwrap();
        let list = on_arn(Action::ListPolicyVersions, &p);
        let versions = i.list_policy_versions(&list, &p, &Paging::default()).await.unwrap();
        let shown: Vec<_> = versions.items.iter().map(|v| (v.id.as_str(), v.is_default)).collect();
        let expected = [("v6", false), ("v4", false), ("v3", false), ("v2", false), ("v1", true)];
        assert_eq!(shown, expected);

        i.create_user(&on(Action::CreateUser, Kind::User, "ada"), user("ada")).await.unwrap();
        i.create_role(&on(Action::CreateRole, Kind::Role, "r"), role("r")).await.unwrap();
        let attach = on(Action::AttachUserPolicy, Kind::User, "ada");
        i.attach_policy(&attach, Kind::User, "ada", &p).await.unwrap();
        let bound = on(Action::PutRolePermissionsBoundary, Kind::Role, "r");
        i.put_boundary(&bound, Kind::Role, "r", &p).await.unwrap();
        let get = on_arn(Action::GetPolicy, &p);
        let seen = i.policy(&get, &p).await.unwrap();
        assert_eq!((seen.attached, seen.boundary_of), (1, 1));
        let entities = on_arn(Action::ListEntitiesForPolicy, &p);
        let of = |used| i.entities_for_policy(&entities, &p, None, used, "/", &PAGE);
        const PAGE: Paging = Paging { marker: None, items_max: 10 };
        let names = |page: coffer_identity::Page<coffer_identity::PolicyUser>| -> Vec<String> {
            page.items.into_iter().map(|user| user.name).collect()
        };
        assert_eq!(names(of(None).await.unwrap()).len(), 2);
        assert_eq!(names(of(Some(Use::Attached)).await.unwrap()), ["ada"]);
        assert_eq!(names(of(Some(Use::Boundary)).await.unwrap()), ["r"]);
        let delete = on_arn(Action::DeletePolicy, &p);
        assert!(matches!(refused(i.delete_policy(&delete, &p).await), Error::DeleteConflict(_)));
        let detach = on(Action::DetachUserPolicy, Kind::User, "ada");
        i.detach_policy(&detach, Kind::User, "ada", &p).await.unwrap();
        assert!(matches!(refused(i.delete_policy(&delete, &p).await), Error::DeleteConflict(_)));
        let unbound = on(Action::DeleteRolePermissionsBoundary, Kind::Role, "r");
        i.delete_boundary(&unbound, Kind::Role, "r").await.unwrap();
        let again = i.delete_boundary(&unbound, Kind::Role, "r").await;
        assert!(matches!(refused(again), Error::NoSuchEntity(_)));
        assert!(matches!(refused(i.delete_policy(&delete, &p).await), Error::DeleteConflict(_)));
        let version = on_arn(Action::DeletePolicyVersion, &p);
        for id in ["v2", "v3", "v4", "v6"] {
            i.delete_policy_version(&version, &p, id).await.unwrap();
        }
        i.delete_policy(&delete, &p).await.unwrap();
        assert!(matches!(refused(i.policy(&get, &p).await), Error::NoSuchEntity(_)));

        let aws = "arn:aws:iam::aws:policy/AdministratorAccess";
        let delete = on_arn(Action::DeletePolicy, aws);
        let fixed = i.delete_policy(&delete, aws).await;
        assert!(matches!(refused(fixed), Error::UnmodifiableEntity(_)));
        let seen = i.policy(&on_arn(Action::GetPolicy, aws), aws).await.unwrap();
        assert_eq!((seen.account, seen.default_version.as_str()), (None, "v1"));
    });
    store.check();
}

#[test]
fn all_policies_are_listed_whatever_the_size_of_a_piece() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        for n in 0..7 {
            let name = format!("p{n}");
            let grant = on(Action::CreatePolicy, Kind::Policy, &name);
            i.create_policy(&grant, policy(&name)).await.unwrap();
        }
        let grant = on_all(Action::ListPolicies);
        let all = i.list_policies(&grant, &ListPolicies::default()).await.unwrap();
        assert_eq!(all.next, None);
        assert_eq!(all.items.len(), 7 + coffer_identity::builtin::BUILTINS.len());
        for items_max in 1..=all.items.len() {
            let mut request =
                ListPolicies { paging: Paging { marker: None, items_max }, ..Default::default() };
            let mut got = Vec::new();
            loop {
                let page = i.list_policies(&grant, &request).await.unwrap();
                assert!(page.items.len() <= items_max);
                got.extend(page.items);
                match page.next {
                    Some(next) => request.paging.marker = Some(next),
                    None => break,
                }
            }
            assert_eq!(got, all.items, "{items_max} at a time");
        }
        let local = ListPolicies { scope: PolicyScope::Local, ..Default::default() };
        assert_eq!(i.list_policies(&grant, &local).await.unwrap().items.len(), 7);
        let aws = ListPolicies { scope: PolicyScope::Aws, ..Default::default() };
        assert_eq!(
            i.list_policies(&grant, &aws).await.unwrap().items.len(),
            coffer_identity::builtin::BUILTINS.len()
        );
        let used = ListPolicies { only_used: true, ..Default::default() };
        assert_eq!(i.list_policies(&grant, &used).await.unwrap().items, []);
        for marker in ["", "x", "b", "é"] {
            let marker = Some(marker.to_owned());
            let request =
                ListPolicies { paging: Paging { marker, items_max: 5 }, ..Default::default() };
            let refused = i.list_policies(&grant, &request).await;
            assert!(matches!(refused, Err(Error::Validation(_))), "{refused:?}");
        }
    });
}

#[test]
fn roles_say_who_may_take_them_on() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let create = on(Action::CreateRole, Kind::Role, "r");
        let bad = CreateRole { trust: ALLOW_ALL.to_owned(), ..role("r") };
        let bad = i.create_role(&create, bad).await;
        assert!(matches!(refused(bad), Error::MalformedPolicyDocument(_)), "no Principal");
        let long = CreateRole { session_secs_max: Some(50_000), ..role("r") };
        assert!(matches!(refused(i.create_role(&create, long).await), Error::Validation(_)));
        let made = i.create_role(&create, role("r")).await.unwrap();
        assert_eq!((made.session_secs_max, &made.trust[..]), (3600, TRUST_ROOT));
        let update = on(Action::UpdateRole, Kind::Role, "r");
        let text = Some("what".to_owned());
        let changed = i.update_role(&update, "r", text, Some(7200)).await.unwrap();
        assert_eq!((changed.description.as_str(), changed.session_secs_max), ("what", 7200));
        let trust = on(Action::UpdateAssumeRolePolicy, Kind::Role, "r");
        assert!(i.update_trust(&trust, "r", "{}".to_owned()).await.is_err());
        i.update_trust(&trust, "r", TRUST_ROOT.to_owned()).await.unwrap();
        let (found, _) = i.role_by_arn(&made.arn).unwrap().unwrap();
        assert_eq!(found.id, made.id);
        for none in ["arn:aws:iam::111122223333:role/x/r", "arn:aws:iam::999922223333:role/r", ""] {
            assert!(i.role_by_arn(none).unwrap().is_none(), "{none}");
        }
        let tag = on(Action::TagRole, Kind::Role, "r");
        let tags = vec![("team".to_owned(), "a".to_owned())];
        i.tag(&tag, Kind::Role, "r", tags.clone()).await.unwrap();
        let list = on(Action::ListRoleTags, Kind::Role, "r");
        let page = i.list_tags(&list, Kind::Role, "r", &Paging::default()).await.unwrap();
        assert_eq!(page.items, tags);
        let untag = on(Action::UntagRole, Kind::Role, "r");
        i.untag(&untag, Kind::Role, "r", vec!["TEAM".to_owned(), "no".to_owned()]).await.unwrap();
        let put = on(Action::PutRolePolicy, Kind::Role, "r");
        i.put_inline(&put, Kind::Role, "r", "p", ALLOW_ALL.to_owned()).await.unwrap();
        let delete = on(Action::DeleteRole, Kind::Role, "r");
        assert!(matches!(refused(i.delete_role(&delete, "r").await), Error::DeleteConflict(_)));
        let inline = on(Action::DeleteRolePolicy, Kind::Role, "r");
        i.delete_inline(&inline, Kind::Role, "r", "p").await.unwrap();
        i.delete_role(&delete, "r").await.unwrap();
    });
    store.check();
}

#[test]
fn providers_are_trusted_by_their_url() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let p = "arn:aws:iam::111122223333:oidc-provider/id.example/realms/x";
        let request = CreateProvider {
            url: "https://id.example/realms/x".to_owned(),
            client_ids: vec!["me".to_owned()],
            thumbprints: vec!["ab".repeat(20)],
            tags: Vec::new(),
        };
        let create = on_arn(Action::CreateOpenIDConnectProvider, p);
        let made = i.create_provider(&create, request.clone()).await.unwrap();
        assert_eq!((made.arn.as_str(), made.url.as_str()), (p, "id.example/realms/x"));
        let again = i.create_provider(&create, request).await;
        assert!(matches!(refused(again), Error::EntityAlreadyExists(_)));
        let add = on_arn(Action::AddClientIDToOpenIDConnectProvider, p);
        i.add_client_id(&add, p, "you".to_owned()).await.unwrap();
        let remove = on_arn(Action::RemoveClientIDFromOpenIDConnectProvider, p);
        i.remove_client_id(&remove, p, "me".to_owned()).await.unwrap();
        let update = on_arn(Action::UpdateOpenIDConnectProviderThumbprint, p);
        assert!(i.update_thumbprints(&update, p, vec!["x".to_owned()]).await.is_err());
        i.update_thumbprints(&update, p, vec!["cd".repeat(20)]).await.unwrap();
        let seen = i.provider_of_issuer(account(), "https://id.example/realms/x").unwrap();
        assert_eq!(seen.unwrap().client_ids, ["you"]);
        assert_eq!(i.provider_of_issuer(account(), "https://id.example/").unwrap(), None);
        assert_eq!(i.provider_of_issuer(account(), "not a url").unwrap(), None);
        let list = on_all(Action::ListOpenIDConnectProviders);
        assert_eq!(i.list_providers(&list).await.unwrap().len(), 1);
        let delete = on_arn(Action::DeleteOpenIDConnectProvider, p);
        i.delete_provider(&delete, p).await.unwrap();
        assert!(matches!(refused(i.delete_provider(&delete, p).await), Error::NoSuchEntity(_)));
    });
    store.check();
}

#[test]
fn accounts_are_apart_from_each_other() {
    let store = Store::new();
    let i = &store.identity;
    run(async {
        let admin = on_all(Action::AdminAccounts);
        let made = i.create_account(&admin, "tenant").await.unwrap();
        let id = made.account.id;
        let again = i.create_account(&admin, "Tenant").await;
        assert!(matches!(refused(again), Error::EntityAlreadyExists(_)));
        assert_eq!(i.list_accounts(&admin).await.unwrap().len(), 2);
        assert_eq!(i.account_by_owner(&made.account.owner_id).unwrap(), Some(id));
        assert_eq!(i.account_by_owner(OWNER).unwrap(), Some(account()));
        assert_eq!(i.account_by_owner("nobody").unwrap(), None);
        let now = coffer_base::Timestamp(0);
        let root = i.credential(&made.access_key, None, now).await.unwrap().unwrap();
        assert_eq!(root.secret, made.secret);
        assert!(root.principal.is_root() && root.principal.account == id.to_string());
        assert_eq!(root.principal.owner_id, made.account.owner_id);
        // The tenant's root makes users of its own, of names that others have, too.
        let ours = on(Action::CreateUser, Kind::User, "ada");
        i.create_user(&ours, user("ada")).await.unwrap();
        let arn = format!("arn:aws:iam::{id}:user/ada");
        let theirs = grant_of(&root.principal, Action::CreateUser, &arn);
        let ada = i.create_user(&theirs, user("ada")).await.unwrap();
        assert_eq!(ada.account, id);
        // It can't look after accounts.
        let not_operator = grant_of(&root.principal, Action::AdminAccounts, "*");
        assert!(i.create_account(&not_operator, "x").await.is_err());
        assert!(i.list_accounts(&not_operator).await.is_err());
        // Nor reach into another account: its grant is for its own.
        let reach =
            grant_of(&root.principal, Action::GetUser, "arn:aws:iam::111122223333:user/ada");
        let reached = i.user(&reach, "ada").await;
        assert!(matches!(refused(reached), Error::ConcurrentModification(_)));
        let foreign_policy = on(Action::CreatePolicy, Kind::Policy, "p");
        let p = i.create_policy(&foreign_policy, policy("p")).await.unwrap().arn;
        let attach = grant_of(&root.principal, Action::AttachUserPolicy, &arn);
        let attached = i.attach_policy(&attach, Kind::User, "ada", &p).await;
        assert!(matches!(refused(attached), Error::NoSuchEntity(_)));
        // Root may have two keys, and manage them.
        let root_arn = format!("arn:aws:iam::{id}:root");
        let keys = grant_of(&root.principal, Action::CreateAccessKey, &root_arn);
        i.create_access_key(&keys, None).await.unwrap();
        assert!(matches!(refused(i.create_access_key(&keys, None).await), Error::LimitExceeded(_)));
        let update = grant_of(&root.principal, Action::UpdateAccessKey, &root_arn);
        i.update_access_key(&update, None, &made.access_key, false).await.unwrap();
        let stopped = i.credential(&made.access_key, None, now).await.unwrap().unwrap();
        assert!(!stopped.enabled);
        let operators = on_arn(Action::CreateAccessKey, "arn:aws:iam::111122223333:root");
        assert!(matches!(
            refused(i.create_access_key(&operators, None).await),
            Error::InvalidInput(_)
        ));

        let summary = grant_of(&root.principal, Action::GetAccountSummary, "*");
        let summary = i.summary(&summary).await.unwrap();
        assert!(summary.contains(&("Users", 1)) && summary.contains(&("UsersQuota", 5000)));
        let conflict = i.remove_account(&admin, id).await;
        assert!(matches!(refused(conflict), Error::DeleteConflict(_)));
        let delete = grant_of(&root.principal, Action::DeleteUser, &arn);
        i.delete_user(&delete, "ada").await.unwrap();
        i.remove_account(&admin, id).await.unwrap();
        assert!(i.credential(&made.access_key, None, now).await.unwrap().is_none());
        assert_eq!(i.account_by_owner(&made.account.owner_id).unwrap(), None);
        let own = i.remove_account(&admin, account()).await;
        assert!(matches!(refused(own), Error::UnmodifiableEntity(_)));
        let gone = Principal::root(id.to_string(), made.account.owner_id.clone());
        let late = grant_of(&gone, Action::CreateUser, &arn);
        assert!(matches!(refused(i.create_user(&late, user("ada")).await), Error::NoSuchEntity(_)));
    });
    store.check();
}

#[test]
fn a_wrong_secret_key_opens_nothing() {
    let mut store = Store::new();
    assert!(coffer_identity::KeyCheck::of(&store.catalog).unwrap().is_some());
    let refusal = store.open_with(&key(8)).map(drop);
    assert!(matches!(refused(refusal), Error::WrongSecretKey(_)));
    store.open_with(&key(7)).unwrap();
    store.reopen(true);
    store.check();
}
