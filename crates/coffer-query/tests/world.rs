//! A service over a store in memory, and clients of it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use coffer_base::drive::{Drive, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_base::{Clock, Timestamp};
use coffer_catalog::{Catalog, Engine, MemEngine, Sequencing};
use coffer_iam::{Action, Ask, Principal, Resource, authorize};
use coffer_identity::{AccountId, DefaultAccount, Identity, IdentitySeams, RootKey, SecretKey};
use coffer_log::{Log, LogOptions, Seams};
use coffer_query::service::Came;
use coffer_query::{Fetch, FetchError, Fetching, QueryService, QuerySettings};
use coffer_sigv4::Service;
use coffer_sigv4::sign::{Signer, encode_query};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use sha2::{Digest as _, Sha256};

pub const ACCOUNT: &str = "111122223333";
pub const OWNER: &str = "the-owner";
pub const REGION: &str = "mars-1";
const START: u64 = 1_700_000_000_000;

/// A clock that stands until it is moved.
pub struct Hand(Mutex<u64>);

impl Hand {
    pub fn move_by(&self, seconds: u64) {
        *self.0.lock().unwrap() += seconds * 1000;
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.lock().unwrap())
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(*self.0.lock().unwrap() - START)
    }
}

/// Web servers of issuers: documents by URL.
#[derive(Default)]
pub struct Web(pub Mutex<HashMap<String, String>>);

impl Fetch for Web {
    fn get<'a>(&'a self, url: &'a str, _: &'a [String]) -> Fetching<'a> {
        let found = self.0.lock().unwrap().get(url).cloned();
        Box::pin(async move { found.map(Bytes::from).ok_or(FetchError("nothing there".into())) })
    }
}

pub struct World {
    pub service: QueryService,
    pub identity: Identity,
    pub clock: Arc<Hand>,
    pub web: Arc<Web>,
    _catalog: Catalog,
}

/// Runs a future that never waits for anything but itself.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

impl World {
    pub fn new() -> World {
        let disks = SimWorld::new(1);
        let clock = Arc::new(Hand(Mutex::new(START)));
        let rng = Arc::new(SeededRng::new(7));
        let options = LogOptions {
            k: 1,
            m: 1,
            commit_segment_bytes: 256 << 10,
            bulk_file_bytes: 1 << 20,
            probe_interval: None,
            ..LogOptions::default()
        };
        let drives = ["d0", "d1"].map(|name| disks.drive(name) as Arc<dyn Drive>).to_vec();
        let seams = Seams::inline(clock.clone(), rng.clone());
        let (log, lane, _) = Log::open(drives, options, seams).unwrap();
        let engine: Arc<dyn Engine> = Arc::new(MemEngine::new());
        let catalog = Catalog::open(log, lane, engine, Sequencing::Inline).unwrap();
        let default = DefaultAccount {
            id: AccountId::parse(ACCOUNT).unwrap(),
            owner_id: OWNER.to_owned(),
            root: Some(RootKey { access_key: "OPERATOR".into(), secret: "operator".into() }),
        };
        let seams = IdentitySeams { clock: clock.clone(), rng: rng.clone() };
        let key = SecretKey::new([7; 32]);
        let identity = run(Identity::open(catalog.clone(), &key, seams, default)).unwrap();
        let web = Arc::new(Web::default());
        let settings = QuerySettings { region: REGION.to_owned() };
        let service =
            QueryService::new(identity.clone(), settings, clock.clone(), rng, web.clone());
        World { service, identity, clock, web, _catalog: catalog }
    }

    /// The store's operator.
    pub fn root(&self) -> Client<'_> {
        self.client("OPERATOR", "operator", None)
    }

    pub fn client(&self, access_key: &str, secret: &str, token: Option<&str>) -> Client<'_> {
        Client {
            world: self,
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
            token: token.map(str::to_owned),
            region: "us-east-1".to_owned(),
        }
    }

    /// A new user with these inline policies.
    pub fn user(&self, name: &str, policies: &[&str]) -> Client<'_> {
        self.root().user(name, policies)
    }

    /// A new account's root.
    pub fn account(&self, name: &str) -> (String, Client<'_>) {
        let operator = Principal::root(ACCOUNT, OWNER);
        let store = Resource::store();
        let grant = authorize(&operator, &Ask::new(Action::AdminAccounts, &store)).unwrap();
        let made = run(self.identity.create_account(&grant, name)).unwrap();
        (made.account.id.to_string(), self.client(&made.access_key, &made.secret, None))
    }

    /// Sends a request as it is.
    pub fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let came = Came { peer: "192.0.2.7:4711".parse().ok(), secure: false };
        run(async {
            let reply = self.service.handle(request, came).await;
            let (parts, body) = reply.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer { status: parts.status, xml: String::from_utf8(body.to_vec()).unwrap() }
        })
    }

    /// Sends a form that nobody signed.
    pub fn unsigned(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let form = form(action, parameters);
        let request = Request::post("http://coffer/").header("host", "coffer");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Full::new(Bytes::from(form))).unwrap())
    }
}

/// The form of a call; the version is that of the interface that has the action.
pub fn form(action: &str, parameters: &[(&str, &str)]) -> String {
    let version = if service_of(action) == Service::Sts { "2011-06-15" } else { "2010-05-08" };
    let mut form = format!("Action={action}&Version={version}");
    for (name, value) in parameters {
        form += &format!("&{}={}", encode_query(name), encode_query(value));
    }
    form
}

pub fn service_of(action: &str) -> Service {
    let found = coffer_query::Operation::ALL.iter().find(|op| op.name() == action);
    found.map_or(Service::Iam, |op| op.service())
}

/// Somebody with a key.
#[derive(Clone)]
pub struct Client<'a> {
    pub world: &'a World,
    pub access_key: String,
    pub secret: String,
    pub token: Option<String>,
    pub region: String,
}

impl<'a> Client<'a> {
    pub fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        self.call_as(service_of(action), action, parameters)
    }

    /// Signs for `service`.
    pub fn call_as(&self, service: Service, action: &str, parameters: &[(&str, &str)]) -> Answer {
        self.post(service, form(action, parameters))
    }

    pub fn post(&self, service: Service, form: String) -> Answer {
        let uri: Uri = "http://coffer/".parse().unwrap();
        let mut signer =
            Signer::new(&*self.access_key, &*self.secret, &*self.region).for_service(service);
        if let Some(token) = &self.token {
            signer = signer.with_token(token.clone());
        }
        let mut headers = HeaderMap::new();
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        headers.insert("content-type", kind.parse().unwrap());
        let hash = hex::encode(Sha256::digest(&form));
        let now = self.world.clock.now();
        signer.sign_headers(&Method::POST, &uri, &mut headers, &hash, now).unwrap();
        let mut request = Request::post(uri).body(Full::new(Bytes::from(form))).unwrap();
        *request.headers_mut() = headers;
        self.world.send(request)
    }

    /// A new user of the caller's account with these inline policies.
    pub fn user(&self, name: &str, policies: &[&str]) -> Client<'a> {
        self.call("CreateUser", &[("UserName", name)]).ok();
        for (i, policy) in policies.iter().enumerate() {
            let policy_name = format!("p{i}");
            let parameters =
                [("UserName", name), ("PolicyName", &policy_name), ("PolicyDocument", policy)];
            self.call("PutUserPolicy", &parameters).ok();
        }
        let key = self.call("CreateAccessKey", &[("UserName", name)]).ok();
        self.world.client(key.text("AccessKeyId"), key.text("SecretAccessKey"), None)
    }

    /// A new role of the caller's account with one inline policy.
    pub fn role(&self, name: &str, trust: &str, policy: &str) -> String {
        let parameters = [("RoleName", name), ("AssumeRolePolicyDocument", trust)];
        let role = self.call("CreateRole", &parameters).ok();
        let parameters = [("RoleName", name), ("PolicyName", "p"), ("PolicyDocument", policy)];
        self.call("PutRolePolicy", &parameters).ok();
        role.text("Arn").to_owned()
    }

    pub fn assume(&self, role: &str, session: &str, more: &[(&str, &str)]) -> Answer {
        let mut parameters = vec![("RoleArn", role), ("RoleSessionName", session)];
        parameters.extend(more);
        self.call("AssumeRole", &parameters)
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub xml: String,
}

impl Answer {
    /// It must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Answer {
        assert_eq!(self.status, StatusCode::OK, "{}", self.xml);
        self
    }

    /// It must have been refused with this code.
    #[track_caller]
    pub fn refused(self, code: &str) -> Answer {
        assert_ne!(self.status, StatusCode::OK, "{}", self.xml);
        assert_eq!(self.text("Code"), code, "{}", self.xml);
        self
    }

    /// The text of the first element of this name.
    #[track_caller]
    pub fn text(&self, tag: &str) -> &str {
        self.texts(tag).first().copied().unwrap_or_else(|| panic!("no {tag} in {}", self.xml))
    }

    /// The texts of all elements of this name.
    pub fn texts(&self, tag: &str) -> Vec<&str> {
        let open = format!("<{tag}>");
        let close = format!("</{tag}>");
        self.xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).collect()
    }

    /// The temporary credentials in it.
    pub fn session<'a>(&self, world: &'a World) -> Client<'a> {
        let (key, secret) = (self.text("AccessKeyId"), self.text("SecretAccessKey"));
        world.client(key, secret, Some(self.text("SessionToken")))
    }
}

/// A policy of one statement without principals.
pub fn allow(action: &str, resource: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}}}"#
    )
}

/// A trust policy for one AWS principal.
pub fn trust(principal: &str, condition: &str) -> String {
    let condition = match condition {
        "" => String::new(),
        text => format!(r#","Condition":{text}"#),
    };
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"{principal}"}},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]{condition}}}}}"#
    )
}
