use base64::Engine as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::*;

/// A modulus of 2048 bits, made for these tests.
const N: &str = "pZRcLZEAKX99el-Ak_-vh4jfW69YTEk-wT_9AeCUBfNxfhmlcA-Ikmm8_YM_LWi4adpr5HYO6ugViJhMyq2n\
     Bgxl-bLMpkiJ3kDVTCZP0Q_Clfp8hOTfQabdJfk1bqcafpsLfRnwmY44LXgKk9HrSN_nPR0f9DZ722QW8JJJ\
     VlsnX6KZy66PXJFp7ppt59nWtUX3sxzD_TE1w5cDMQkQR5ncMpaGQU_UjUWkEfgJrEHKeeaJI5_pyKKjmUvR\
     qU9szeHHbmbtw0gbEXDhjjUpPE61xAFZLoGCshWGaDRJ2okUT_LPafIYkbIoVMfK15CaFnfLMqN8FV2TF1fm\
     ag8pdw";
/// Signed by RS256 with its key.
const TOKEN: &str = "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogIm9uZSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZHAuZXhhbXBsZS8iLCA\
     ic3ViIjogImFkYSIsICJhdWQiOiAiY29mZmVyIiwgImV4cCI6IDIwMDAwMDAwMDAsICJpYXQiOiAxNzAwMDA\
     wMDAwfQ.Q7jJPrzgjHJdEhM006n6pKO7EyfQAXZ6ZNGX0pyYKvYvtKtrO-IBmzBlTwWYgwrAOjeW0MCDBmCJ\
     yDw9kv1P-gjacFfo5rSjcY72-D06FSiWkv-E6VXi7BcOlZUlVcQATlyoPKI0J0koQyh0iIOdMWdL2SWypvS-\
     p8tZjmoNJNef0twWu4CucPOOAg0bNeX2aGwqyrmFOBroim_c5rc02NDewdYm_hFme1eO2lb_t3QKQF10vqtf\
     gAk1kkckiPp15ZHt1JmLR0cw9DoBF-YL4Sk2KJqaepWOaLzHEBM0REUx3ECz1SqMA8YcRk34Hs-PsfNa3362\
     lEwz0uKWEWJNTg";

fn rsa_set(extra: &str) -> Option<KeySet> {
    let key = format!("{{\"kty\":\"RSA\",\"n\":\"{N}\",\"e\":\"AQAB\"{extra}}}");
    KeySet::parse(format!("{{\"keys\":[{key}]}}").as_bytes())
}

#[test]
fn a_token_is_of_the_key_that_signed_it() {
    let token = Token::parse(TOKEN).unwrap();
    let set = rsa_set(",\"kid\":\"one\",\"use\":\"sig\",\"alg\":\"RS256\"").unwrap();
    assert!(set.knows(&token) && set.signed(&token));
    let mut unnamed = token.clone();
    unnamed.key_id = None;
    assert!(set.signed(&unnamed));
    for (what, wrong) in [
        ("another claim", Token { signed: token.signed.replace('a', "b"), ..token.clone() }),
        ("another key", Token { key_id: Some("two".to_owned()), ..token.clone() }),
        ("another algorithm", Token { algorithm: Algorithm::Es256, ..token.clone() }),
        ("no signature", Token { signature: Vec::new(), ..token.clone() }),
    ] {
        assert!(!set.signed(&wrong), "{what}");
    }
    let mut bent = token;
    bent.signature[0] ^= 1;
    assert!(!set.signed(&bent));
}

#[test]
fn keys_for_other_uses_are_not_used() {
    let token = Token { key_id: None, ..Token::parse(TOKEN).unwrap() };
    for extra in [",\"use\":\"enc\"", ",\"alg\":\"RS512\"", ",\"alg\":\"PS256\""] {
        let set = rsa_set(extra).unwrap();
        assert!(!set.knows(&token) && !set.signed(&token), "{extra}");
    }
}

#[test]
fn es256_is_verified() {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let point = pair.public_key().as_ref();
    let key = format!(
        "{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{}\",\"y\":\"{}\",\"kid\":\"e\"}}",
        encode(&point[1..33]),
        encode(&point[33..])
    );
    let set = KeySet::parse(format!("{{\"keys\":[{{}},{key}]}}").as_bytes()).unwrap();
    let signed = "header.claims".to_owned();
    let signature = pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_owned();
    let token = Token {
        algorithm: Algorithm::Es256,
        key_id: Some("e".to_owned()),
        signed,
        signature,
        ..Token::parse(TOKEN).unwrap()
    };
    assert!(set.signed(&token));
    // The algorithm is the token's to name, the kind of key is not.
    assert!(!set.signed(&Token { algorithm: Algorithm::Rs256, ..token.clone() }));
    assert!(!set.signed(&Token { signed: "header.claim".to_owned(), ..token }));
}

#[test]
fn what_is_no_key_set_is_none_and_never_panics() {
    for garbage in ["", "{", "[]", "{}", "{\"keys\":{}}", "null", "\u{e9}"] {
        assert_eq!(KeySet::parse(garbage.as_bytes()), None, "{garbage}");
    }
    for unusable in [
        "{\"keys\":[]}",
        "{\"keys\":[1,null,\"a\",{\"kty\":\"RSA\"},{\"kty\":\"oct\",\"k\":\"AA\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%\",\"e\":\"AQAB\"}]}",
    ] {
        assert_eq!(KeySet::parse(unusable.as_bytes()), Some(KeySet::default()), "{unusable}");
    }
    let empty = KeySet::parse(b"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"\"}]}").unwrap();
    assert!(!empty.signed(&Token::parse(TOKEN).unwrap()));
}
