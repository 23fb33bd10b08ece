//! Random operations on the store and on a simple model of it, which must agree on every answer
//! and on all that is there, also after the store was opened again from its log.

use std::collections::{BTreeMap, BTreeSet};

use coffer_base::Rng;
use coffer_base::Timestamp;
use coffer_base::rng::SeededRng;
use coffer_iam::Action;
use coffer_identity::{
    CreatePolicy, CreateRole, CreateUser, Error, Kind, ListPolicies, Paging, PolicyScope, Result,
};

use crate::store::*;

const NAMES: [&str; 5] = ["ada", "Bob", "carla", "dora", "Eve"];

#[derive(Clone, Debug, Default, PartialEq)]
struct Thing {
    /// As it was given.
    name: String,
    path: String,
    inline: BTreeSet<String>,
    attached: BTreeSet<String>,
    boundary: Option<String>,
    /// Folded names of groups of a user.
    groups: BTreeSet<String>,
    /// Access keys of a user, and whether they are active.
    keys: BTreeMap<String, bool>,
    /// Versions of a policy, and which one counts.
    versions: Vec<u32>,
    default: u32,
    next: u32,
    tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// By kind and folded name.
    things: BTreeMap<(Kind, String), Thing>,
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn policy_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/{name}")
}

/// What an error is, without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Missing,
    Exists,
    Conflict,
    Limit,
}

fn kind_of(error: &Error) -> Refusal {
    match error {
        Error::NoSuchEntity(_) => Refusal::Missing,
        Error::EntityAlreadyExists(_) => Refusal::Exists,
        Error::DeleteConflict(_) => Refusal::Conflict,
        Error::LimitExceeded(_) => Refusal::Limit,
        other => panic!("an error that no operation here should have: {other:?}"),
    }
}

type Expected = std::result::Result<(), Refusal>;

impl Model {
    fn get(&mut self, kind: Kind, name: &str) -> std::result::Result<&mut Thing, Refusal> {
        self.things.get_mut(&(kind, fold(name))).ok_or(Refusal::Missing)
    }

    fn create(&mut self, kind: Kind, name: &str) -> Expected {
        if self.things.contains_key(&(kind, fold(name))) {
            return Err(Refusal::Exists);
        }
        let is_policy = kind == Kind::Policy;
        let thing = Thing {
            name: name.to_owned(),
            path: "/".to_owned(),
            versions: if is_policy { vec![1] } else { Vec::new() },
            default: u32::from(is_policy),
            next: 2,
            ..Thing::default()
        };
        self.things.insert((kind, fold(name)), thing);
        Ok(())
    }

    fn delete(&mut self, kind: Kind, name: &str) -> Expected {
        let thing = self.get(kind, name)?.clone();
        let arn = policy_arn(&thing.name);
        let is_used = self.things.values().any(|other| match kind {
            Kind::Group => other.groups.contains(&fold(name)),
            Kind::Policy => other.attached.contains(&arn) || other.boundary.as_ref() == Some(&arn),
            _ => false,
        });
        let holds = !thing.groups.is_empty()
            || !thing.keys.is_empty()
            || !thing.attached.is_empty()
            || !thing.inline.is_empty()
            || thing.versions.len() > 1;
        if is_used || holds {
            return Err(Refusal::Conflict);
        }
        self.things.remove(&(kind, fold(name)));
        Ok(())
    }

    fn rename(&mut self, kind: Kind, name: &str, new: &str) -> Expected {
        self.get(kind, name)?;
        let (from, to) = (fold(name), fold(new));
        if from != to && self.things.contains_key(&(kind, to.clone())) {
            return Err(Refusal::Exists);
        }
        let mut thing = self.things.remove(&(kind, from.clone())).expect("just seen");
        thing.name = new.to_owned();
        self.things.insert((kind, to.clone()), thing);
        if kind == Kind::Group {
            for other in self.things.values_mut() {
                if other.groups.remove(&from) {
                    other.groups.insert(to.clone());
                }
            }
        }
        Ok(())
    }

    fn arn(&mut self, kind: Kind, name: &str) -> String {
        // Of what is not there, some ARN.
        let shown = self.get(kind, name).map_or(name.to_owned(), |thing| thing.name.clone());
        coffer_identity::arn(account(), kind, "/", &shown)
    }
}

fn answer<T>(result: Result<T>) -> Expected {
    result.map(drop).map_err(|error| kind_of(&error))
}

/// One random operation on both.
async fn step(rng: &SeededRng, store: &Store, model: &mut Model) -> (String, Expected, Expected) {
    let i = &store.identity;
    let pick = |n: usize| rng.below(n as u64) as usize;
    let name = NAMES[pick(NAMES.len())];
    let kinds = [Kind::User, Kind::Group, Kind::Role];
    let kind = kinds[pick(3)];
    match pick(16) {
        0 | 1 => {
            let kind = [Kind::User, Kind::Group, Kind::Role, Kind::Policy][pick(4)];
            let arn = coffer_identity::arn(account(), kind, "/", name);
            let done = match kind {
                Kind::User => {
                    let request = CreateUser { name: name.to_owned(), ..CreateUser::default() };
                    answer(i.create_user(&on_arn(Action::CreateUser, &arn), request).await)
                }
                Kind::Group => {
                    answer(i.create_group(&on_arn(Action::CreateGroup, &arn), name, "").await)
                }
                Kind::Role => {
                    let request = CreateRole {
                        name: name.to_owned(),
                        trust: TRUST_ROOT.to_owned(),
                        ..CreateRole::default()
                    };
                    answer(i.create_role(&on_arn(Action::CreateRole, &arn), request).await)
                }
                _ => {
                    let request = CreatePolicy {
                        name: name.to_owned(),
                        document: ALLOW_ALL.to_owned(),
                        ..CreatePolicy::default()
                    };
                    answer(i.create_policy(&on_arn(Action::CreatePolicy, &arn), request).await)
                }
            };
            (format!("create {kind:?} {name}"), done, model.create(kind, name))
        }
        2 | 3 => {
            let kind = [Kind::User, Kind::Group, Kind::Role, Kind::Policy][pick(4)];
            let arn = model.arn(kind, name);
            let done = match kind {
                Kind::User => i.delete_user(&on_arn(Action::DeleteUser, &arn), name).await,
                Kind::Group => i.delete_group(&on_arn(Action::DeleteGroup, &arn), name).await,
                Kind::Role => i.delete_role(&on_arn(Action::DeleteRole, &arn), name).await,
                _ => i.delete_policy(&on_arn(Action::DeletePolicy, &arn), &arn).await,
            };
            (format!("delete {kind:?} {name}"), answer(done), model.delete(kind, name))
        }
        4 => {
            let kind = kinds[pick(2)];
            let new = NAMES[pick(NAMES.len())].to_uppercase();
            let arn = model.arn(kind, name);
            let done = match kind {
                Kind::User => {
                    let grant = on_arn(Action::UpdateUser, &arn);
                    answer(i.update_user(&grant, name, Some(new.clone()), None).await)
                }
                _ => {
                    let grant = on_arn(Action::UpdateGroup, &arn);
                    answer(i.update_group(&grant, name, Some(new.clone()), None).await)
                }
            };
            (format!("rename {kind:?} {name} {new}"), done, model.rename(kind, name, &new))
        }
        5 | 6 => {
            let user = NAMES[pick(NAMES.len())];
            let arn = model.arn(Kind::Group, name);
            let join = pick(2) == 0;
            let done = match join {
                true => {
                    i.add_user_to_group(&on_arn(Action::AddUserToGroup, &arn), name, user).await
                }
                false => {
                    let grant = on_arn(Action::RemoveUserFromGroup, &arn);
                    i.remove_user_from_group(&grant, name, user).await
                }
            };
            let expected = (|| {
                model.get(Kind::Group, name)?;
                let groups = &mut model.get(Kind::User, user)?.groups;
                match join {
                    true => drop(groups.insert(fold(name))),
                    false if groups.remove(&fold(name)) => {}
                    false => return Err(Refusal::Missing),
                }
                Ok(())
            })();
            (format!("join {join} {name} {user}"), answer(done), expected)
        }
        7 | 8 => {
            let arn = model.arn(kind, name);
            let policy = model.arn(Kind::Policy, NAMES[pick(NAMES.len())]);
            let (attach, detach) = match kind {
                Kind::User => (Action::AttachUserPolicy, Action::DetachUserPolicy),
                Kind::Group => (Action::AttachGroupPolicy, Action::DetachGroupPolicy),
                _ => (Action::AttachRolePolicy, Action::DetachRolePolicy),
            };
            let on = pick(2) == 0;
            let done = match on {
                true => i.attach_policy(&on_arn(attach, &arn), kind, name, &policy).await,
                false => i.detach_policy(&on_arn(detach, &arn), kind, name, &policy).await,
            };
            let is_there = model
                .things
                .values()
                .any(|thing| !thing.versions.is_empty() && policy_arn(&thing.name) == policy);
            let expected = (|| {
                let attached = &mut model.get(kind, name)?.attached;
                match on {
                    true if is_there => drop(attached.insert(policy.clone())),
                    false if attached.remove(&policy) => {}
                    _ => return Err(Refusal::Missing),
                }
                Ok(())
            })();
            (format!("attach {on} {kind:?} {name} {policy}"), answer(done), expected)
        }
        9 => {
            let arn = model.arn(kind, name);
            let (put, delete) = match kind {
                Kind::User => (Action::PutUserPolicy, Action::DeleteUserPolicy),
                Kind::Group => (Action::PutGroupPolicy, Action::DeleteGroupPolicy),
                _ => (Action::PutRolePolicy, Action::DeleteRolePolicy),
            };
            let policy = ["x", "y"][pick(2)];
            let on = pick(2) == 0;
            let done = match on {
                true => {
                    let document = ALLOW_ALL.to_owned();
                    i.put_inline(&on_arn(put, &arn), kind, name, policy, document).await
                }
                false => i.delete_inline(&on_arn(delete, &arn), kind, name, policy).await,
            };
            let expected = (|| {
                let inline = &mut model.get(kind, name)?.inline;
                match on {
                    true => drop(inline.insert(policy.to_owned())),
                    false if inline.remove(policy) => {}
                    false => return Err(Refusal::Missing),
                }
                Ok(())
            })();
            (format!("inline {on} {kind:?} {name} {policy}"), answer(done), expected)
        }
        10 => {
            let kind = [Kind::User, Kind::Role][pick(2)];
            let arn = model.arn(kind, name);
            let policy = model.arn(Kind::Policy, NAMES[pick(NAMES.len())]);
            let (put, delete) = match kind {
                Kind::User => {
                    (Action::PutUserPermissionsBoundary, Action::DeleteUserPermissionsBoundary)
                }
                _ => (Action::PutRolePermissionsBoundary, Action::DeleteRolePermissionsBoundary),
            };
            let on = pick(2) == 0;
            let done = match on {
                true => i.put_boundary(&on_arn(put, &arn), kind, name, &policy).await,
                false => i.delete_boundary(&on_arn(delete, &arn), kind, name).await,
            };
            let is_there = model
                .things
                .values()
                .any(|thing| !thing.versions.is_empty() && policy_arn(&thing.name) == policy);
            let expected = (|| {
                let boundary = &mut model.get(kind, name)?.boundary;
                match on {
                    true if is_there => *boundary = Some(policy.clone()),
                    false if boundary.is_some() => *boundary = None,
                    _ => return Err(Refusal::Missing),
                }
                Ok(())
            })();
            (format!("boundary {on} {kind:?} {name} {policy}"), answer(done), expected)
        }
        11 => {
            let arn = model.arn(Kind::User, name);
            let grant = on_arn(Action::CreateAccessKey, &arn);
            let done = i.create_access_key(&grant, Some(name)).await;
            let expected = (|| {
                let keys = &mut model.get(Kind::User, name)?.keys;
                if keys.len() == 2 {
                    return Err(Refusal::Limit);
                }
                if let Ok(made) = &done {
                    keys.insert(made.key.access_key.clone(), true);
                }
                Ok(())
            })();
            (format!("create key of {name}"), answer(done), expected)
        }
        12 => {
            let arn = model.arn(Kind::User, name);
            let known = model.get(Kind::User, name).ok();
            let key = known.and_then(|user| user.keys.keys().next().cloned());
            let key = key.unwrap_or_else(|| "AKIANOBODY".to_owned());
            let delete = pick(2) == 0;
            let done = match delete {
                true => {
                    let grant = on_arn(Action::DeleteAccessKey, &arn);
                    i.delete_access_key(&grant, Some(name), &key).await
                }
                false => {
                    let grant = on_arn(Action::UpdateAccessKey, &arn);
                    i.update_access_key(&grant, Some(name), &key, false).await
                }
            };
            let expected = (|| {
                let keys = &mut model.get(Kind::User, name)?.keys;
                let active = keys.get_mut(&key).ok_or(Refusal::Missing)?;
                *active = false;
                if delete {
                    keys.remove(&key);
                }
                Ok(())
            })();
            (format!("stop key of {name}, delete {delete}"), answer(done), expected)
        }
        13 => {
            let arn = model.arn(Kind::Policy, name);
            let set = pick(2) == 0;
            let grant = on_arn(Action::CreatePolicyVersion, &arn);
            let done = i.create_policy_version(&grant, &arn, ALLOW_ALL.to_owned(), set).await;
            let expected = (|| {
                let policy = model.get(Kind::Policy, name)?;
                if policy.versions.len() == 5 {
                    return Err(Refusal::Limit);
                }
                policy.versions.push(policy.next);
                if set {
                    policy.default = policy.next;
                }
                policy.next += 1;
                Ok(())
            })();
            (format!("new version of {name}, default {set}"), answer(done), expected)
        }
        14 => {
            let arn = model.arn(Kind::Policy, name);
            let version = 1 + pick(6) as u32;
            let grant = on_arn(Action::DeletePolicyVersion, &arn);
            let done = i.delete_policy_version(&grant, &arn, &format!("v{version}")).await;
            let expected = (|| {
                let policy = model.get(Kind::Policy, name)?;
                let at = policy.versions.iter().position(|known| *known == version);
                let at = at.ok_or(Refusal::Missing)?;
                if policy.default == version {
                    return Err(Refusal::Conflict);
                }
                policy.versions.remove(at);
                Ok(())
            })();
            (format!("delete version {version} of {name}"), answer(done), expected)
        }
        _ => {
            let arn = model.arn(Kind::User, name);
            let (key, value) = (["k", "l"][pick(2)].to_owned(), pick(9).to_string());
            let on = pick(3) > 0;
            let done = match on {
                true => {
                    let tags = vec![(key.clone(), value.clone())];
                    i.tag(&on_arn(Action::TagUser, &arn), Kind::User, name, tags).await
                }
                false => {
                    let grant = on_arn(Action::UntagUser, &arn);
                    i.untag(&grant, Kind::User, name, vec![key.clone()]).await
                }
            };
            let expected = model.get(Kind::User, name).map(|user| {
                match on {
                    true => user.tags.insert(key.clone(), value),
                    false => user.tags.remove(&key),
                };
            });
            (format!("tag {on} {name} {key}"), answer(done), expected)
        }
    }
}

/// All that the store has, as the model would have it.
async fn observe(store: &Store, model: &Model) -> Model {
    let i = &store.identity;
    let mut seen = Model::default();
    let some = Paging { marker: None, items_max: 2 };
    let mut names: Vec<(Kind, String, String)> = Vec::new();
    let mut paging = some.clone();
    loop {
        let page = i.list_users(&on_all(Action::ListUsers), "/", &paging).await.unwrap();
        names.extend(page.items.into_iter().map(|u| (Kind::User, u.name, u.path)));
        let Some(next) = page.next else { break };
        paging.marker = Some(next);
    }
    paging = some.clone();
    loop {
        let page = i.list_groups(&on_all(Action::ListGroups), "/", &paging).await.unwrap();
        names.extend(page.items.into_iter().map(|g| (Kind::Group, g.name, g.path)));
        let Some(next) = page.next else { break };
        paging.marker = Some(next);
    }
    paging = some.clone();
    loop {
        let page = i.list_roles(&on_all(Action::ListRoles), "/", &paging).await.unwrap();
        names.extend(page.items.into_iter().map(|r| (Kind::Role, r.name, r.path)));
        let Some(next) = page.next else { break };
        paging.marker = Some(next);
    }
    let all = Paging::default();
    for (kind, name, path) in names {
        let arn = coffer_identity::arn(account(), kind, "/", &name);
        let (list, attached) = match kind {
            Kind::User => (Action::ListUserPolicies, Action::ListAttachedUserPolicies),
            Kind::Group => (Action::ListGroupPolicies, Action::ListAttachedGroupPolicies),
            _ => (Action::ListRolePolicies, Action::ListAttachedRolePolicies),
        };
        let inline = i.list_inline(&on_arn(list, &arn), kind, &name, &all).await.unwrap();
        let grant = on_arn(attached, &arn);
        let attached = i.list_attached(&grant, kind, &name, "/", &all);
        let mut thing = Thing {
            name: name.clone(),
            path,
            inline: inline.items.into_iter().collect(),
            attached: attached.await.unwrap().items.into_iter().map(|p| p.arn).collect(),
            next: 2,
            ..Thing::default()
        };
        if kind == Kind::Role {
            thing.boundary = i.role(&on_arn(Action::GetRole, &arn), &name).await.unwrap().boundary;
        }
        if kind == Kind::User {
            let user = i.user(&on_arn(Action::GetUser, &arn), &name).await.unwrap();
            thing.boundary = user.boundary;
            thing.tags = user.tags.into_iter().collect();
            let grant = on_arn(Action::ListGroupsForUser, &arn);
            let groups = i.groups_of_user(&grant, &name, &all).await.unwrap();
            thing.groups = groups.items.into_iter().map(|g| fold(&g.name)).collect();
            let grant = on_arn(Action::ListAccessKeys, &arn);
            for key in i.list_access_keys(&grant, Some(&name), &all).await.unwrap().items {
                let found = i.credential(&key.access_key, None, Timestamp(1)).await.unwrap();
                let found = found.expect("a listed key is somebody's");
                assert_eq!((found.enabled, found.principal.arn()), (key.active, arn.clone()));
                thing.keys.insert(key.access_key, key.active);
            }
        }
        seen.things.insert((kind, fold(&name)), thing);
    }
    let local = ListPolicies { scope: PolicyScope::Local, ..ListPolicies::default() };
    let page = i.list_policies(&on_all(Action::ListPolicies), &local).await.unwrap();
    for policy in page.items {
        let grant = on_arn(Action::ListPolicyVersions, &policy.arn);
        let versions = i.list_policy_versions(&grant, &policy.arn, &all).await.unwrap().items;
        let number = |id: &str| id[1..].parse::<u32>().unwrap();
        let mut numbers: Vec<u32> = versions.iter().map(|v| number(&v.id)).collect();
        numbers.reverse();
        let at = (Kind::Policy, fold(&policy.name));
        let thing = Thing {
            versions: numbers,
            default: number(&policy.default_version),
            // Not shown; a wrong one shows as a wrong number later.
            next: model.things.get(&at).map_or(0, |known| known.next),
            name: policy.name,
            path: policy.path,
            ..Thing::default()
        };
        let uses = |pick: &dyn Fn(&Thing) -> bool| {
            model.things.values().filter(|thing| pick(thing)).count() as u64
        };
        assert_eq!(policy.attached, uses(&|thing| thing.attached.contains(&policy.arn)));
        assert_eq!(policy.boundary_of, uses(&|t| t.boundary.as_ref() == Some(&policy.arn)));
        seen.things.insert(at, thing);
    }
    seen
}

#[test]
fn the_store_does_what_the_model_does() {
    let mut outcomes = BTreeMap::new();
    for seed in 0..12 {
        let rng = SeededRng::new(seed);
        let mut store = Store::new();
        let mut model = Model::default();
        for round in 0..3 {
            for n in 0..150 {
                let (what, done, expected) = run(step(&rng, &store, &mut model));
                assert_eq!(done, expected, "seed {seed}, step {round}.{n}: {what}");
                *outcomes.entry(format!("{done:?}")).or_insert(0) += 1;
            }
            let seen = run(observe(&store, &model));
            assert_eq!(seen, model, "seed {seed}, round {round}");
            store.check();
            store.reopen(round != 1);
            let seen = run(observe(&store, &model));
            assert_eq!(seen, model, "seed {seed}, round {round}, opened again");
        }
    }
    // A test of refusals alone, or of none, would say little.
    assert!(outcomes.len() == 5 && outcomes.values().all(|n| *n >= 10), "{outcomes:?}");
}
