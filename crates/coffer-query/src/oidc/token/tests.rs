use serde_json::json;

use super::*;

fn encoded(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(header), part(claims))
}

fn claims() -> Value {
    json!({"iss": "https://idp.example/realm", "sub": "ada", "aud": ["a", "b"], "exp": 2000})
}

fn with(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    encoded(&json!({"alg": "RS256", "kid": "k"}), &claims)
}

#[test]
fn a_token_is_read() {
    let token = Token::parse(&with("amr", json!(["pwd"]))).unwrap();
    assert_eq!(token.algorithm, Algorithm::Rs256);
    assert_eq!(token.key_id.as_deref(), Some("k"));
    assert_eq!((token.subject.as_str(), token.signature.as_slice()), ("ada", &b"sig"[..]));
    assert_eq!(token.provider().unwrap(), "idp.example/realm");
    assert_eq!((token.audience, token.original_audience), (vec!["a".into(), "b".into()], None));
    assert_eq!(token.methods, ["pwd"]);
    let party = Token::parse(&with("azp", json!("client"))).unwrap();
    assert_eq!(party.audience, ["client"]);
    assert_eq!(party.original_audience.unwrap(), ["a", "b"]);
    let slash = Token::parse(&with("iss", json!("https://idp.example/"))).unwrap();
    assert_eq!(slash.provider().unwrap(), "idp.example");
}

#[test]
fn a_token_is_of_its_time_and_for_its_client() {
    let at = |seconds: u64| Timestamp(seconds * 1000);
    let token = Token::parse(&with("iat", json!(1000.5))).unwrap();
    token.check_time(at(1999)).unwrap();
    token.check_time(at(940)).unwrap();
    assert_eq!(token.check_time(at(2000)).unwrap_err().code, Code::ExpiredTokenException);
    assert_eq!(token.check_time(at(939)).unwrap_err().code, Code::InvalidIdentityToken);
    let token = Token::parse(&with("nbf", json!(1000))).unwrap();
    assert!(token.check_time(at(900)).is_err());
    token.check_audience(&["x".to_owned(), "b".to_owned()]).unwrap();
    for other in [vec![], vec!["x".to_owned()], vec![String::new()]] {
        assert_eq!(token.check_audience(&other).unwrap_err().code, Code::InvalidIdentityToken);
    }
    let party = Token::parse(&with("azp", json!("client"))).unwrap();
    assert!(party.check_audience(&["a".to_owned()]).is_err(), "azp is the one that counts");
}

#[test]
fn what_is_no_token_is_refused_and_never_panics() {
    let wrong_header = |header: Value| encoded(&header, &claims());
    for wrong in [
        String::new(),
        "a.b".to_owned(),
        "a.b.c.d".to_owned(),
        "....".to_owned(),
        "!.!.!".to_owned(),
        "e30.e30.e30=".to_owned(),
        "bnVsbA.bnVsbA.".to_owned(),
        wrong_header(json!({})),
        wrong_header(json!({"alg": "none"})),
        wrong_header(json!({"alg": "HS256"})),
        wrong_header(json!({"alg": 1})),
        wrong_header(json!({"alg": "RS256", "kid": 1})),
        wrong_header(json!({"alg": "RS256", "crit": ["b64"]})),
        with("iss", json!(null)),
        with("iss", json!("")),
        with("sub", json!(1)),
        with("sub", json!("")),
        with("aud", json!([])),
        with("aud", json!([1])),
        with("aud", json!("")),
        with("azp", json!("")),
        with("exp", json!("2000")),
        with("exp", json!(-1)),
        with("exp", json!(1e300)),
        with("nbf", json!({})),
        "a".repeat(TOKEN_CHARS_MAX + 1),
    ] {
        let error = Token::parse(&wrong).unwrap_err();
        assert_eq!(error.code, Code::InvalidIdentityToken, "{wrong}");
    }
    let good = with("iat", json!(1));
    for cut in 0..good.len() {
        let _ = Token::parse(&good[..cut]);
    }
    let plain = Token::parse(&with("iss", json!("http://idp.example"))).unwrap();
    assert!(plain.provider().is_err());
    let tags = Token::parse(&with("https://aws.amazon.com/tags", json!({}))).unwrap_err();
    assert_eq!(tags.code, Code::NotImplemented);
}
