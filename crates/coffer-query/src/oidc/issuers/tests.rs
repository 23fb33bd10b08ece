use std::collections::VecDeque;

use bytes::Bytes;
use coffer_base::Timestamp;

use super::super::fetch::{FetchError, Fetching};
use super::*;

const ISSUER: &str = "https://idp.example/";
const DISCOVERY: &str =
    r#"{"issuer":"https://idp.example/","jwks_uri":"https://keys.example/set"}"#;
const NO_KEYS: &str = r#"{"keys":[]}"#;

/// Answers what it is told, and tells what it was asked.
#[derive(Default)]
struct Told {
    answers: Mutex<VecDeque<Result<&'static str, FetchError>>>,
    asked: Mutex<Vec<String>>,
}

impl Fetch for Told {
    fn get<'a>(&'a self, url: &'a str, _: &'a [String]) -> Fetching<'a> {
        self.asked.lock().unwrap().push(url.to_owned());
        let answer = self.answers.lock().unwrap().pop_front().expect("nothing more is asked");
        Box::pin(async move { answer.map(|text| Bytes::from_static(text.as_bytes())) })
    }
}

/// A clock that is set.
#[derive(Default)]
struct Set(Mutex<Duration>);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

fn token() -> Token {
    let part = |text: &str| {
        use base64::Engine as _;
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text)
    };
    let header = part(r#"{"alg":"RS256","kid":"k"}"#);
    let claims = part(r#"{"iss":"https://idp.example/","sub":"a","aud":"b","exp":1}"#);
    Token::parse(&format!("{header}.{claims}.AAAA")).unwrap()
}

async fn check(told: &Arc<Told>, answers: &[Result<&'static str, &str>]) -> QueryError {
    let issuers = Issuers::new(told.clone(), Arc::new(Set::default()));
    let answers = answers.iter().cloned().map(|a| a.map_err(|e| FetchError(e.to_owned())));
    told.answers.lock().unwrap().extend(answers);
    let error = issuers.check_signature(&token(), &[]).await.unwrap_err();
    assert!(told.answers.lock().unwrap().is_empty(), "all that was told was asked for");
    error
}

#[tokio::test]
async fn the_keys_are_where_the_issuer_says() {
    let told = Arc::new(Told::default());
    let error = check(&told, &[Ok(DISCOVERY), Ok(NO_KEYS)]).await;
    assert_eq!(error.code, Code::InvalidIdentityToken);
    let asked = told.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [format!("{ISSUER}.well-known/openid-configuration"), "https://keys.example/set".into()]
    );
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_signs_nothing() {
    for answers in [
        &[Err("refused")][..],
        &[Ok("not JSON")],
        &[Ok(r#"{"issuer":"https://idp.example","jwks_uri":"https://k/"}"#)],
        &[Ok(r#"{"jwks_uri":"https://k/"}"#)],
        &[Ok(r#"{"issuer":"https://idp.example/","jwks_uri":"http://k/"}"#)],
        &[Ok(r#"{"issuer":"https://idp.example/"}"#)],
        &[Ok(DISCOVERY), Err("refused")],
        &[Ok(DISCOVERY), Ok("[]")],
    ] {
        let error = check(&Arc::default(), answers).await;
        assert_eq!(error.code, Code::IDPCommunicationError, "{answers:?}");
        assert!(error.cause.is_some());
    }
}

#[tokio::test]
async fn keys_are_kept_and_asked_for_again_in_time() {
    let (told, clock) = (Arc::new(Told::default()), Arc::new(Set::default()));
    let issuers = Issuers::new(told.clone(), clock.clone());
    let asked_at = async |seconds: u64| {
        *clock.0.lock().unwrap() = Duration::from_secs(seconds);
        let before = told.asked.lock().unwrap().len();
        told.answers.lock().unwrap().extend([Ok(DISCOVERY), Ok(NO_KEYS)]);
        issuers.check_signature(&token(), &[]).await.unwrap_err();
        told.answers.lock().unwrap().clear();
        told.asked.lock().unwrap().len() > before
    };
    assert!(asked_at(100).await, "the first time");
    assert!(!asked_at(129).await, "an unknown key, soon after");
    assert!(asked_at(130).await, "an unknown key, later");
    assert!(!asked_at(131).await);
}

/// Never answers until it is let go, and counts how often it was asked.
#[derive(Default)]
struct Silent {
    asked: Mutex<usize>,
    go: tokio::sync::Notify,
}

impl Fetch for Silent {
    fn get<'a>(&'a self, _: &'a str, _: &'a [String]) -> Fetching<'a> {
        *self.asked.lock().unwrap() += 1;
        Box::pin(async move {
            self.go.notified().await;
            Err(FetchError("no answer".to_owned()))
        })
    }
}

#[tokio::test]
async fn a_silent_issuer_is_asked_once_for_all_that_wait() {
    let (silent, clock) = (Arc::new(Silent::default()), Arc::new(Set::default()));
    let issuers = Arc::new(Issuers::new(silent.clone(), clock.clone()));
    let check = || {
        let issuers = issuers.clone();
        tokio::spawn(async move { issuers.check_signature(&token(), &[]).await.unwrap_err().code })
    };
    let waiting: Vec<_> = (0..20).map(|_| check()).collect();
    // A caller that goes away does not end the fetch.
    let gone = check();
    tokio::task::yield_now().await;
    gone.abort();
    while *silent.asked.lock().unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    silent.go.notify_one();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), Code::IDPCommunicationError);
    }
    // And the failure is remembered for a while.
    assert_eq!(check().await.unwrap(), Code::IDPCommunicationError);
    assert_eq!(*silent.asked.lock().unwrap(), 1);
    assert_eq!(issuers.signed_by_kept(&token(), &[]), Some(false));
    *clock.0.lock().unwrap() = REFETCHED_MIN;
    silent.go.notify_one();
    assert_eq!(check().await.unwrap(), Code::IDPCommunicationError);
    assert_eq!(*silent.asked.lock().unwrap(), 2);
}

#[tokio::test]
async fn only_so_many_issuers_are_asked_at_once() {
    let silent = Arc::new(Silent::default());
    let issuers = Arc::new(Issuers::new(silent.clone(), Arc::new(Set::default())));
    let check = |i: usize| {
        let issuers = issuers.clone();
        let thumbprints = vec![i.to_string()];
        tokio::spawn(async move { issuers.check_signature(&token(), &thumbprints).await })
    };
    let waiting: Vec<_> = (0..FETCHES_MAX).map(check).collect();
    while *silent.asked.lock().unwrap() < FETCHES_MAX {
        tokio::task::yield_now().await;
    }
    let error = check(FETCHES_MAX).await.unwrap().unwrap_err();
    assert_eq!(error.code, Code::IDPCommunicationError);
    assert_eq!(*silent.asked.lock().unwrap(), FETCHES_MAX);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}
