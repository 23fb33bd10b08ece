//! Temporary credentials.

use crate::world::*;

#[test]
fn a_session_does_what_its_role_and_its_policy_both_allow() {
    let world = World::new();
    let root = world.root();
    let role = root.role(
        "reader",
        &trust("arn:aws:iam::111122223333:root", ""),
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:ListUsers","iam:ListRoles"],"Resource":"*"}}"#,
    );
    world.user("stranger", &[]).assume(&role, "s1", &[]).refused("AccessDenied");
    let ada = world.user("ada", &[&allow("sts:AssumeRole", &role)]);
    let assumed = ada.assume(&role, "s1", &[]).ok();
    assert_eq!(
        assumed.text("AssumedRoleUser").split("</AssumedRoleId>").nth(1).unwrap(),
        "<Arn>arn:aws:sts::111122223333:assumed-role/reader/s1</Arn>"
    );
    assert_eq!(assumed.text("Expiration"), "2023-11-14T23:13:20Z");
    let session = assumed.session(&world);
    let me = session.call("GetCallerIdentity", &[]).ok();
    assert_eq!(me.text("Arn"), "arn:aws:sts::111122223333:assumed-role/reader/s1");
    assert!(me.text("UserId").ends_with(":s1"));
    session.call("ListUsers", &[]).ok();
    session.call("ListRoles", &[]).ok();
    session.call("ListGroups", &[]).refused("AccessDenied");
    session.call("GetUser", &[]).refused("ValidationError");
    let no_token = Client { token: None, ..session.clone() };
    no_token.call("ListUsers", &[]).refused("InvalidClientTokenId");
    let of_another = Client { token: session.token.clone(), ..ada.clone() };
    of_another.call("ListUsers", &[]).refused("InvalidClientTokenId");

    let less = allow("iam:ListUsers", "*");
    let limited = ada.assume(&role, "s2", &[("Policy", &less)]).ok().session(&world);
    limited.call("ListUsers", &[]).ok();
    limited.call("ListRoles", &[]).refused("AccessDenied");
    let none = ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/AmazonS3FullAccess");
    let limited = ada.assume(&role, "s3", &[none]).ok().session(&world);
    limited.call("ListUsers", &[]).refused("AccessDenied");

    world.clock.move_by(3600);
    session.call("ListUsers", &[]).refused("ExpiredToken");
    let fresh = ada.assume(&role, "s4", &[]).ok().session(&world);
    root.call("DeleteRolePolicy", &[("RoleName", "reader"), ("PolicyName", "p")]).ok();
    fresh.call("ListUsers", &[]).refused("AccessDenied");
    root.call("DeleteRole", &[("RoleName", "reader")]).ok();
    fresh.call("GetCallerIdentity", &[]).refused("InvalidClientTokenId");
}

#[test]
fn a_role_is_given_to_whom_its_trust_policy_says() {
    let world = World::new();
    let root = world.root();
    let all = allow("*", "*");
    let ada = world.user("ada", &[&allow("sts:*", "*")]);
    let condition = r#"{"StringEquals":{"sts:ExternalId":"tuna","aws:RequestTag/team":"a"}}"#;
    let role = root.role("r", &trust("arn:aws:iam::111122223333:user/ada", condition), &all);
    let tag = |value| [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", value)];
    let with = |id, value| [&[("ExternalId", id)][..], &tag(value)].concat();
    ada.assume(&role, "s1", &[]).refused("AccessDenied");
    ada.assume(&role, "s1", &with("cod", "a")).refused("AccessDenied");
    ada.assume(&role, "s1", &with("tuna", "b")).refused("AccessDenied");
    let session = ada.assume(&role, "s1", &with("tuna", "a")).ok().session(&world);
    session.call("ListUsers", &[]).ok();
    let berta = world.user("berta", &[&all]);
    let refused = berta.assume(&role, "s1", &with("tuna", "a")).refused("AccessDenied");
    let missing = "arn:aws:iam::111122223333:role/none";
    let unknown = berta.assume(missing, "s1", &with("tuna", "a")).refused("AccessDenied");
    let of = |answer: &Answer, role: &str| answer.text("Message").replace(role, "ROLE");
    assert_eq!(of(&refused, &role), of(&unknown, missing), "neither tells which roles there are");
    root.assume(&role, "s1", &with("tuna", "a")).refused("AccessDenied");
    ada.assume(&role, "s", &with("tuna", "a")).refused("ValidationError");
    ada.assume(&role, "s1", &[("DurationSeconds", "899")]).refused("ValidationError");
    let long = [&with("tuna", "a")[..], &[("DurationSeconds", "7200")]].concat();
    ada.assume(&role, "s1", &long).refused("ValidationError");
    ada.assume(&role, "s1", &[("SerialNumber", "x")]).refused("NotImplemented");
}

#[test]
fn another_account_needs_leave_on_both_sides() {
    let world = World::new();
    let (theirs, their_root) = world.account("theirs");
    assert_ne!(theirs, ACCOUNT);
    let role = world.root().role(
        "shared",
        &trust(&format!("arn:aws:iam::{theirs}:root"), ""),
        &allow("iam:ListUsers", "*"),
    );
    let stranger = their_root.user("stranger", &[]);
    stranger.assume(&role, "s1", &[]).refused("AccessDenied");
    let guest = their_root.user("guest", &[&allow("sts:AssumeRole", &role)]);
    let session = guest.assume(&role, "s1", &[]).ok().session(&world);
    assert_eq!(session.call("GetCallerIdentity", &[]).ok().text("Account"), ACCOUNT);
    session.call("ListUsers", &[]).ok();
    // Without the role, the accounts do not see each other.
    world.root().call("CreateUser", &[("UserName", "mine")]).ok();
    their_root.call("GetUser", &[("UserName", "mine")]).refused("NoSuchEntity");
    let users = their_root.call("ListUsers", &[]).ok();
    assert_eq!(users.texts("UserName"), ["guest", "stranger"]);
    let closed = world.root().role(
        "closed",
        &trust(&format!("arn:aws:iam::{ACCOUNT}:root"), ""),
        &allow("*", "*"),
    );
    let admin = their_root.user("admin", &[&allow("*", "*")]);
    admin.assume(&closed, "s1", &[]).refused("AccessDenied");
    let owner = [("AccessKeyId", guest.access_key.as_str())];
    assert_eq!(admin.call("GetAccessKeyInfo", &owner).ok().text("Account"), theirs);
    world.root().call("GetAccessKeyLastUsed", &owner).refused("NoSuchEntity");
}

#[test]
fn a_users_own_session_ends_with_its_key() {
    let world = World::new();
    let ada = world.user("ada", &[&allow("*", "*")]);
    let role = world.root().role(
        "r",
        &trust("arn:aws:iam::111122223333:user/ada", ""),
        &allow("iam:ListUsers", "*"),
    );
    let session = ada.call("GetSessionToken", &[("DurationSeconds", "900")]).ok().session(&world);
    let me = session.call("GetCallerIdentity", &[]).ok();
    assert_eq!(me.text("Arn"), "arn:aws:iam::111122223333:user/ada");
    session.call("ListUsers", &[]).refused("InvalidClientTokenId");
    session.call("GetSessionToken", &[]).refused("AccessDenied");
    session.call("GetAccessKeyInfo", &[("AccessKeyId", "x")]).refused("AccessDenied");
    session.assume(&role, "s1", &[]).ok();
    let key = [("UserName", "ada"), ("AccessKeyId", ada.access_key.as_str())];
    world.root().call("DeleteAccessKey", &key).ok();
    session.call("GetCallerIdentity", &[]).refused("InvalidClientTokenId");
}

#[test]
fn who_is_behind_a_session_stays() {
    let world = World::new();
    let root = world.root();
    let ada = world.user("ada", &[&allow("sts:*", "*")]);
    let first =
        root.role("first", &trust("arn:aws:iam::111122223333:root", ""), &allow("sts:*", "*"));
    let second = root.role(
        "second",
        &trust(
            "arn:aws:iam::111122223333:root",
            r#"{"StringEquals":{"sts:SourceIdentity":"ada"}}"#,
        ),
        &allow("*", "*"),
    );
    let session = ada.assume(&first, "s1", &[("SourceIdentity", "ada")]).ok();
    assert_eq!(session.text("SourceIdentity"), "ada");
    let session = session.session(&world);
    session.assume(&second, "s2", &[("SourceIdentity", "eve")]).refused("AccessDenied");
    let chained = session.assume(&second, "s2", &[]).ok();
    assert_eq!(chained.text("SourceIdentity"), "ada");
    ada.assume(&second, "s2", &[]).refused("AccessDenied");
    let long = [("DurationSeconds", "3601")];
    session.assume(&second, "s2", &long).refused("ValidationError");
}
