//! Roles for the bearers of an identity provider's tokens.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::world::*;

/// An issuer with one key.
struct Issuer {
    url: String,
    key: EcdsaKeyPair,
}

impl Issuer {
    fn new(world: &World, url: &str) -> Issuer {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let point = key.public_key().as_ref();
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "use": "sig",
            "x": encode(&point[1..33]), "y": encode(&point[33..])}]});
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let mut documents = world.web.0.lock().unwrap();
        documents.insert(format!("{url}/.well-known/openid-configuration"), discovery.to_string());
        documents.insert(format!("{url}/keys"), set.to_string());
        drop(documents);
        Issuer { url: url.to_owned(), key }
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({"iss": self.url, "sub": "repo:a", "aud": "coffer",
            "exp": 1_700_000_600, "iat": 1_700_000_000});
        change(&mut claims);
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "ES256", "kid": "k"})), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

fn web_trust(condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow",
            "Principal":{{"Federated":"arn:aws:iam::111122223333:oidc-provider/idp.example/realm"}},
            "Action":"sts:AssumeRoleWithWebIdentity","Condition":{condition}}}}}"#
    )
}

fn assume(world: &World, role: &str, token: &str) -> Answer {
    let parameters = [("RoleArn", role), ("RoleSessionName", "web"), ("WebIdentityToken", token)];
    world.unsigned("AssumeRoleWithWebIdentity", &parameters)
}

#[test]
fn a_token_of_a_provider_gets_a_role_and_no_other_does() {
    let world = World::new();
    let root = world.root();
    let issuer = Issuer::new(&world, "https://idp.example/realm");
    let condition = r#"{"StringEquals":{"idp.example/realm:aud":"coffer"},"StringLike":{"idp.example/realm:sub":"repo:*"}}"#;
    let role = root.role("web", &web_trust(condition), &allow("iam:ListUsers", "*"));
    let good = issuer.token(|_| {});
    assume(&world, &role, &good).refused("InvalidIdentityToken");
    root.call(
        "CreateOpenIDConnectProvider",
        &[
            ("Url", &issuer.url),
            ("ClientIDList.member.1", "coffer"),
            ("ClientIDList.member.2", "other"),
        ],
    )
    .ok();
    let assumed = assume(&world, &role, &good).ok();
    assert_eq!(assumed.text("SubjectFromWebIdentityToken"), "repo:a");
    assert_eq!(assumed.text("Audience"), "coffer");
    assert_eq!(assumed.text("Provider"), "https://idp.example/realm");
    let session = assumed.session(&world);
    session.call("ListUsers", &[]).ok();
    session.call("ListRoles", &[]).refused("AccessDenied");

    let forger = Issuer::new(&world, "https://evil.example");
    for (what, token, code) in [
        ("an issuer nobody trusts", forger.token(|_| {}), "InvalidIdentityToken"),
        (
            "a key of another issuer",
            forger.token(|claims| claims["iss"] = json!("https://idp.example/realm")),
            "InvalidIdentityToken",
        ),
        ("another client", issuer.token(|c| c["aud"] = json!("else")), "InvalidIdentityToken"),
        ("a client the role refuses", issuer.token(|c| c["aud"] = json!("other")), "AccessDenied"),
        ("a subject the role refuses", issuer.token(|c| c["sub"] = json!("x")), "AccessDenied"),
        ("past", issuer.token(|c| c["exp"] = json!(1_700_000_000)), "ExpiredTokenException"),
        ("future", issuer.token(|c| c["nbf"] = json!(1_700_000_100)), "InvalidIdentityToken"),
        ("bent", good.replace('.', ".a"), "InvalidIdentityToken"),
        ("unsigned", good.rsplit_once('.').unwrap().0.to_owned() + ".", "InvalidIdentityToken"),
    ] {
        let answer = assume(&world, &role, &token);
        assert_eq!(answer.text("Code"), code, "{what}: {}", answer.xml);
    }
    // A role that trusts users does not trust tokens, and the other way round.
    let other = root.role("other", &trust("*", ""), &allow("*", "*"));
    let of_role = assume(&world, &other, &good).refused("AccessDenied");
    let missing = "arn:aws:iam::111122223333:role/none";
    let of_none = assume(&world, missing, &good).refused("AccessDenied");
    assert_eq!(of_role.text("Message"), of_none.text("Message"));
    let ada = world.user("ada", &[&allow("*", "*")]);
    ada.assume(&role, "s1", &[]).refused("AccessDenied");
}

#[test]
fn an_issuer_that_is_away_is_told_apart() {
    let world = World::new();
    let issuer = Issuer::new(&world, "https://idp.example/realm");
    let url = [("Url", issuer.url.as_str()), ("ClientIDList.member.1", "coffer")];
    world.root().call("CreateOpenIDConnectProvider", &url).ok();
    let role = world.root().role("web", &web_trust("{}"), &allow("*", "*"));
    let documents = std::mem::take(&mut *world.web.0.lock().unwrap());
    assume(&world, &role, &issuer.token(|_| {})).refused("IDPCommunicationError");
    *world.web.0.lock().unwrap() = documents;
    assume(&world, &role, &issuer.token(|_| {})).refused("IDPCommunicationError");
    world.clock.move_by(30);
    assume(&world, &role, &issuer.token(|_| {})).ok();
    // The keys are kept for a while.
    world.web.0.lock().unwrap().clear();
    assume(&world, &role, &issuer.token(|_| {})).ok();
    world.clock.move_by(300);
    assume(&world, &role, &issuer.token(|_| {})).ok();
    // And longer when the issuer is away, but not for ever.
    let later = |seconds: u64| issuer.token(|c| c["exp"] = json!(1_700_000_600 + seconds));
    world.clock.move_by(3600);
    assume(&world, &role, &later(3600)).ok();
    world.clock.move_by(3 * 3600);
    assume(&world, &role, &later(4 * 3600)).refused("IDPCommunicationError");
}

#[test]
fn nothing_is_fetched_for_a_role_that_would_not_be_given() {
    let world = World::new();
    let issuer = Issuer::new(&world, "https://idp.example/realm");
    let url = [("Url", issuer.url.as_str()), ("ClientIDList.member.1", "coffer")];
    world.root().call("CreateOpenIDConnectProvider", &url).ok();
    let condition = r#"{"StringEquals":{"idp.example/realm:sub":"repo:b"}}"#;
    let role = world.root().role("web", &web_trust(condition), &allow("*", "*"));
    // Its server would not answer, and is not asked.
    world.web.0.lock().unwrap().clear();
    assume(&world, &role, &issuer.token(|_| {})).refused("AccessDenied");
    let none = "arn:aws:iam::111122223333:role/none";
    assume(&world, none, &issuer.token(|_| {})).refused("AccessDenied");
    assume(&world, &role, &issuer.token(|c| c["sub"] = json!("repo:b")))
        .refused("IDPCommunicationError");
}
