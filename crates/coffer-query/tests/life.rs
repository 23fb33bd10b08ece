//! What AWS's tools do to identities, from beginning to end.

use crate::world::*;

#[test]
fn the_life_of_a_user() {
    let world = World::new();
    let root = world.root();
    let made = root.call(
        "CreateUser",
        &[
            ("UserName", "ada"),
            ("Path", "/eng/"),
            ("Tags.member.1.Key", "team"),
            ("Tags.member.1.Value", "a+b c"),
        ],
    );
    let made = made.ok();
    assert!(made.xml.starts_with(
        "<CreateUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><CreateUserResult>"
    ));
    assert_eq!(made.text("Arn"), "arn:aws:iam::111122223333:user/eng/ada");
    assert!(made.text("UserId").starts_with("AIDA"));
    assert_eq!(made.text("CreateDate"), "2023-11-14T22:13:20Z");
    assert_eq!(made.text("Value"), "a+b c");
    assert_eq!(made.text("RequestId").len(), 36);
    root.call("CreateUser", &[("UserName", "ada")]).refused("EntityAlreadyExists");
    root.call("CreateUser", &[("UserName", "a/b")]).refused("ValidationError");
    root.call("CreateUser", &[]).refused("ValidationError");

    let policy = allow("iam:GetUser", "*");
    let put = [("UserName", "ada"), ("PolicyName", "self"), ("PolicyDocument", policy.as_str())];
    let answer = root.call("PutUserPolicy", &put).ok();
    assert!(!answer.xml.contains("Result>"), "{}", answer.xml);
    let got = root.call("GetUserPolicy", &[("UserName", "ada"), ("PolicyName", "self")]).ok();
    assert!(got.text("PolicyDocument").starts_with("%7B%22Version%22"));
    let key = root.call("CreateAccessKey", &[("UserName", "ada")]).ok();
    let ada = world.client(key.text("AccessKeyId"), key.text("SecretAccessKey"), None);
    assert_eq!(ada.call("GetUser", &[]).ok().text("UserName"), "ada");
    let me = ada.call("GetCallerIdentity", &[]).ok();
    assert_eq!(me.text("Arn"), "arn:aws:iam::111122223333:user/eng/ada");
    assert_eq!(me.text("Account"), ACCOUNT);
    let denied = ada.call("ListUsers", &[]).refused("AccessDenied");
    assert!(denied.text("Message").starts_with(
        "User: arn:aws:iam::111122223333:user/eng/ada is not authorized to perform: iam:ListUsers \
         on resource: arn:aws:iam::111122223333:user/"
    ));
    let used = root.call("GetAccessKeyLastUsed", &[("AccessKeyId", &ada.access_key)]).ok();
    assert_eq!((used.text("ServiceName"), used.text("UserName")), ("iam", "ada"));

    let (id, key) = (("UserName", "ada"), ("AccessKeyId", ada.access_key.as_str()));
    root.call("UpdateAccessKey", &[id, key, ("Status", "Inactive")]).ok();
    ada.call("GetCallerIdentity", &[]).refused("InvalidClientTokenId");
    root.call("UpdateAccessKey", &[id, key, ("Status", "Active")]).ok();
    ada.call("GetCallerIdentity", &[]).ok();
    root.call("UpdateAccessKey", &[id, key, ("Status", "Asleep")]).refused("ValidationError");
    root.call("DeleteUser", &[id]).refused("DeleteConflict");
    root.call("DeleteAccessKey", &[id, key]).ok();
    ada.call("GetCallerIdentity", &[]).refused("InvalidClientTokenId");
    root.call("DeleteUserPolicy", &[id, ("PolicyName", "self")]).ok();
    root.call("UpdateUser", &[id, ("NewUserName", "eve"), ("NewPath", "/")]).ok();
    root.call("GetUser", &[id]).refused("NoSuchEntity");
    root.call("DeleteUser", &[("UserName", "eve")]).ok();
}

#[test]
fn groups_and_managed_policies() {
    let world = World::new();
    let root = world.root();
    let ada = world.user("ada", &[]);
    root.call("CreateGroup", &[("GroupName", "g"), ("Path", "/eng/")]).ok();
    let in_group = [("GroupName", "g"), ("UserName", "ada")];
    root.call("AddUserToGroup", &in_group).ok();
    let group = root.call("GetGroup", &[("GroupName", "g")]).ok();
    assert_eq!((group.text("UserName"), group.text("IsTruncated")), ("ada", "false"));
    let document = allow("iam:ListUsers", "*");
    let made =
        root.call("CreatePolicy", &[("PolicyName", "list"), ("PolicyDocument", &document)]).ok();
    let policy = made.text("Arn").to_owned();
    let attach = [("GroupName", "g"), ("PolicyArn", policy.as_str())];
    ada.call("ListUsers", &[]).refused("AccessDenied");
    root.call("AttachGroupPolicy", &attach).ok();
    ada.call("ListUsers", &[]).ok();
    let users = root.call("ListEntitiesForPolicy", &[("PolicyArn", &policy)]).ok();
    assert_eq!(users.text("PolicyGroups").matches("<member>").count(), 1);
    // A second version counts only when it is made the default.
    let other = allow("iam:ListRoles", "*");
    let version = [("PolicyArn", policy.as_str()), ("PolicyDocument", other.as_str())];
    let v2 = root.call("CreatePolicyVersion", &version).ok();
    assert_eq!((v2.text("VersionId"), v2.text("IsDefaultVersion")), ("v2", "false"));
    ada.call("ListUsers", &[]).ok();
    let v2 = [("PolicyArn", policy.as_str()), ("VersionId", "v2")];
    root.call("SetDefaultPolicyVersion", &v2).ok();
    ada.call("ListUsers", &[]).refused("AccessDenied");
    ada.call("ListRoles", &[]).ok();
    assert!(root.call("GetPolicyVersion", &v2).ok().text("Document").contains("ListRoles"));
    root.call("DeletePolicyVersion", &v2).refused("DeleteConflict");
    root.call("DeletePolicy", &[("PolicyArn", &policy)]).refused("DeleteConflict");
    // A boundary takes away what it does not allow.
    let boundary = [
        ("UserName", "ada"),
        ("PermissionsBoundary", "arn:aws:iam::aws:policy/AmazonS3FullAccess"),
    ];
    root.call("PutUserPermissionsBoundary", &boundary).ok();
    ada.call("ListRoles", &[]).refused("AccessDenied");
    assert!(root.call("GetUser", &[("UserName", "ada")]).ok().xml.contains("AmazonS3FullAccess"));
    root.call("DeleteUserPermissionsBoundary", &[("UserName", "ada")]).ok();
    ada.call("ListRoles", &[]).ok();
    root.call("RemoveUserFromGroup", &in_group).ok();
    ada.call("ListRoles", &[]).refused("AccessDenied");
    root.call("DetachGroupPolicy", &attach).ok();
    root.call("DetachGroupPolicy", &attach).refused("NoSuchEntity");
    root.call("DeleteGroup", &[("GroupName", "g")]).ok();
    let wrong = [("PolicyName", "w"), ("PolicyDocument", "{")];
    root.call("CreatePolicy", &wrong).refused("MalformedPolicyDocument");
}

#[test]
fn lists_come_in_pieces() {
    let world = World::new();
    let root = world.root();
    for i in 0..7 {
        root.call("CreateUser", &[("UserName", &format!("u{i}")), ("Path", "/p/")]).ok();
    }
    root.call("CreateUser", &[("UserName", "other")]).ok();
    let (mut names, mut marker) = (Vec::new(), String::new());
    for pages in 1.. {
        let page = root
            .call("ListUsers", &[("PathPrefix", "/p/"), ("MaxItems", "3"), ("Marker", &marker)])
            .ok();
        names.extend(page.texts("UserName").into_iter().map(str::to_owned));
        if page.text("IsTruncated") == "false" {
            assert_eq!(pages, 3);
            break;
        }
        marker = page.text("Marker").to_owned();
    }
    assert_eq!(names, ["u0", "u1", "u2", "u3", "u4", "u5", "u6"]);
    root.call("ListUsers", &[("MaxItems", "0")]).refused("ValidationError");
    root.call("ListUsers", &[("Marker", "?")]).refused("ValidationError");

    root.role("r", &trust("arn:aws:iam::111122223333:root", ""), &allow("s3:*", "*"));
    let (mut users, mut roles, mut marker) = (0, 0, String::new());
    for _ in 0..20 {
        let details = [
            ("Filter.member.1", "User"),
            ("Filter.member.2", "Role"),
            ("MaxItems", "4"),
            ("Marker", &marker),
        ];
        let page = root.call("GetAccountAuthorizationDetails", &details).ok();
        users += page.texts("UserId").len();
        roles += page.texts("RoleId").len();
        if page.text("IsTruncated") == "false" {
            break;
        }
        marker = page.text("Marker").to_owned();
    }
    assert_eq!((users, roles), (8, 1));
    let all = root.call("GetAccountAuthorizationDetails", &[]).ok();
    assert!(all.text("RolePolicyList").contains("PolicyDocument"), "{}", all.xml);
    for wrong in ["x", "9.", "0.!", "."] {
        let marker = [("Marker", wrong)];
        root.call("GetAccountAuthorizationDetails", &marker).refused("ValidationError");
    }
    let summary = root.call("GetAccountSummary", &[]).ok();
    assert!(summary.xml.contains("<entry><key>Users</key><value>8</value></entry>"));
}

#[test]
fn a_delegate_gives_no_more_than_the_boundary() {
    let world = World::new();
    let boundary = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let delegate = format!(
        r#"{{"Version":"2012-10-17","Statement":[
            {{"Effect":"Allow","Action":["iam:CreateUser","iam:AttachUserPolicy","iam:PutUserPolicy"],
              "Resource":"*",
              "Condition":{{"StringEquals":{{"iam:PermissionsBoundary":"{boundary}"}}}}}},
            {{"Effect":"Allow","Action":"iam:TagUser","Resource":"*",
              "Condition":{{"StringEquals":{{"aws:RequestTag/team":"a"}}}}}}]}}"#
    );
    let delegate = world.user("delegate", &[&delegate]);
    let (root, name) = (world.root(), ("UserName", "made"));
    let bounded = ("PermissionsBoundary", boundary);
    delegate.call("CreateUser", &[name]).refused("AccessDenied");
    let tagged =
        |value| [name, bounded, ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", value)];
    delegate.call("CreateUser", &tagged("b")).refused("AccessDenied");
    delegate.call("CreateUser", &tagged("a")).ok();
    let admin = ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess");
    delegate.call("AttachUserPolicy", &[name, admin]).ok();
    root.call("CreateUser", &[("UserName", "free")]).ok();
    delegate.call("AttachUserPolicy", &[("UserName", "free"), admin]).refused("AccessDenied");
    delegate.call("AttachUserPolicy", &[("UserName", "gone"), admin]).refused("AccessDenied");
}

#[test]
fn providers_and_tags() {
    let world = World::new();
    let root = world.root();
    let made = root.call(
        "CreateOpenIDConnectProvider",
        &[
            ("Url", "https://idp.example/realm"),
            ("ClientIDList.member.1", "a"),
            ("ThumbprintList.member.1", &"0".repeat(40)),
        ],
    );
    let made = made.ok();
    let arn = made.text("OpenIDConnectProviderArn");
    assert_eq!(arn, "arn:aws:iam::111122223333:oidc-provider/idp.example/realm");
    let which = ("OpenIDConnectProviderArn", arn);
    root.call("AddClientIDToOpenIDConnectProvider", &[which, ("ClientID", "b")]).ok();
    root.call("RemoveClientIDFromOpenIDConnectProvider", &[which, ("ClientID", "a")]).ok();
    let got = root.call("GetOpenIDConnectProvider", &[which]).ok();
    assert_eq!(got.text("ClientIDList"), "<member>b</member>");
    assert_eq!(got.text("Url"), "idp.example/realm");
    let tag = [which, ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")];
    root.call("TagOpenIDConnectProvider", &tag).ok();
    assert_eq!(root.call("ListOpenIDConnectProviderTags", &[which]).ok().text("Value"), "v");
    root.call("UntagOpenIDConnectProvider", &[which, ("TagKeys.member.1", "k")]).ok();
    assert!(root.call("ListOpenIDConnectProviders", &[]).ok().xml.contains(arn));
    root.call("DeleteOpenIDConnectProvider", &[which]).ok();
    root.call("GetOpenIDConnectProvider", &[which]).refused("NoSuchEntity");
    root.call("CreateOpenIDConnectProvider", &[("Url", "http://idp.example")])
        .refused("InvalidInput");
}
