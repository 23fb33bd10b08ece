//! The program under test, its server, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use coffer_base::{Clock, SystemClock};
use coffer_s3::sign::{Signer, UNSIGNED_PAYLOAD};
use http::{HeaderMap, Method, Uri};
use serde_json::Value;

/// The program with nothing in its environment that could set anything, in a directory of its own.
pub fn coffer(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.env_clear().current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself, and says little.
pub fn run(dir: &Path, args: &[&str]) -> Output {
    output(coffer(dir).args(args))
}

/// As [`run`], of a command that is made already.
pub fn output(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{command:?} did not end: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// The stdout of a command that succeeds.
pub fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line on stderr of a command that fails with `code`.
pub fn fail(dir: &Path, args: &[&str], code: i32) -> String {
    one_line(&run(dir, args), code)
}

/// The one line on stderr of a command that failed with `code`.
pub fn one_line(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr:?}");
    stderr.strip_prefix("coffer: ").expect(&stderr).trim_end().to_owned()
}

/// Every name below `dir` with its length, to see that nothing was touched.
pub fn listing(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            found.push(format!("{}/", path.display()));
            found.extend(listing(&path));
        } else {
            found.push(format!("{} {}", path.display(), meta.len()));
        }
    }
    found.sort();
    found
}

/// A running server.
pub struct Server {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// The same of the admin port.
    pub admin: String,
    /// The event that told them.
    pub listening: Value,
}

impl Server {
    /// Starts a server on free ports and waits until it listens.
    pub fn start(dir: &Path, args: &[&str]) -> Server {
        let mut command = coffer(dir);
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        Server::spawn(command.args(args))
    }

    /// Starts the server that `command` is.
    pub fn spawn(command: &mut Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let listening = wait_for_listening(&mut stdout);
        let text = |key: &str| listening[key].as_str().unwrap_or_default().to_owned();
        let (endpoint, admin) = (text("endpoint"), text("admin"));
        let mut server = Server { child, stdout: Some(stdout), endpoint, admin, listening };
        if server.listening.is_null() {
            panic!("the server ended: {}", server.wait(Duration::from_secs(30)));
        }
        server
    }

    /// Sends `signal` and waits for the end. Returns how it ended and what it still logged.
    pub fn stop(mut self, signal: rustix::process::Signal) -> (ExitStatus, String) {
        self.signal(signal);
        let status = self.wait(Duration::from_secs(30));
        let mut rest = String::new();
        self.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        (status, rest)
    }

    /// Ends it as an operator does; must be clean.
    pub fn terminate(self) {
        let (status, log) = self.stop(rustix::process::Signal::TERM);
        assert_eq!(status.code(), Some(0), "{log}");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server did not end within {limit:?}");
    }

    /// `GET path` of the admin port: status and body.
    pub fn admin_get(&self, path: &str) -> (u16, String) {
        request(&self.admin, "GET", path, &HeaderMap::new(), b"")
    }

    /// A signed request to S3: status and body.
    pub fn s3(&self, keys: (&str, &str), method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let uri: Uri = format!("{}{path}", self.endpoint).parse().unwrap();
        let verb = Method::from_bytes(method.as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        Signer::new(keys.0, keys.1, "us-east-1")
            .sign_headers(&verb, &uri, &mut headers, UNSIGNED_PAYLOAD, SystemClock.now())
            .unwrap();
        request(&self.endpoint, method, path, &headers, body)
    }
}

/// The event of that name; null if the log ends without it.
fn wait_for_listening(stdout: &mut impl BufRead) -> Value {
    for line in stdout.lines() {
        let line = line.unwrap();
        let event: Value = serde_json::from_str(&line).expect(&line);
        if event["event"] == "listening" {
            return event;
        }
    }
    Value::Null
}

impl Drop for Server {
    fn drop(&mut self) {
        // Of a test that failed; one that was waited for is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request(
    endpoint: &str,
    method: &str,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> (u16, String) {
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.contains_key("host") {
        head += &format!("host: {address}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let reply = String::from_utf8_lossy(&reply).into_owned();
    let (head, body) = reply.split_once("\r\n\r\n").expect(&reply);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// The keys in a credentials file.
pub fn keys_in(path: &Path) -> (String, String) {
    let text = std::fs::read_to_string(path).unwrap();
    let value = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).expect(&text);
        line.split('"').nth(1).unwrap().to_owned()
    };
    (value("access_key"), value("secret_key"))
}
