//! The requests whose instructions are counted.

use anyhow::{Result, bail};
use http::Method;

use crate::served::{BUCKET, Served};
use crate::wire::{Connection, Request};

/// A small object.
const SMALL_BYTES: usize = 4 << 10;
/// A large one, stored as bulk rows.
const LARGE_BYTES: usize = 1 << 20;
/// Objects that reads go round.
const OBJECTS: usize = 64;
/// Keys of the page.
const PAGE_KEYS: usize = 1000;

/// One of the hot paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// PUT of 4 KiB under a new key.
    PutSmall,
    /// GET of 4 KiB.
    GetSmall,
    /// HEAD of the same.
    HeadSmall,
    /// A page of 1,000 keys.
    ListPage,
    /// PUT of 1 MiB under a new key.
    PutLarge,
    /// GET of 1 MiB.
    GetLarge,
}

impl Path {
    /// All of them.
    pub const ALL: [Path; 6] = [
        Path::PutSmall,
        Path::GetSmall,
        Path::HeadSmall,
        Path::ListPage,
        Path::PutLarge,
        Path::GetLarge,
    ];

    /// What budgets call it.
    pub fn name(self) -> &'static str {
        match self {
            Path::PutSmall => "put-4KiB",
            Path::GetSmall => "get-4KiB",
            Path::HeadSmall => "head-4KiB",
            Path::ListPage => "list-1000",
            Path::PutLarge => "put-1MiB",
            Path::GetLarge => "get-1MiB",
        }
    }

    /// The path of that name.
    pub fn named(name: &str) -> Option<Path> {
        Path::ALL.into_iter().find(|path| path.name() == name)
    }

    /// How many requests a run should send: enough that one more or less of anything that does not
    /// happen with each does not show.
    pub fn requests(self) -> usize {
        match self {
            Path::PutSmall => 200,
            Path::GetSmall | Path::HeadSmall => 500,
            Path::ListPage => 10,
            Path::PutLarge | Path::GetLarge => 8,
        }
    }

    /// Sends what the requests need beforehand.
    fn prepare(self, connection: &mut Connection, served: &Served) -> Result<()> {
        let (objects, bytes) = match self {
            Path::PutSmall | Path::PutLarge => (0, 0),
            Path::GetSmall | Path::HeadSmall => (OBJECTS, SMALL_BYTES),
            Path::ListPage => (PAGE_KEYS + 1, 0),
            Path::GetLarge => (4, LARGE_BYTES),
        };
        for number in 0..objects {
            let put = Request::new(Method::PUT, &object(number), body(number, bytes), served)?;
            served.run(connection.send(&put))?;
        }
        Ok(())
    }

    /// Request number `number`.
    fn request(self, number: usize, served: &Served) -> Result<Request> {
        let (method, target, bytes) = match self {
            Path::PutSmall => (Method::PUT, object(number), SMALL_BYTES),
            Path::GetSmall => (Method::GET, object(number % OBJECTS), 0),
            Path::HeadSmall => (Method::HEAD, object(number % OBJECTS), 0),
            Path::ListPage => {
                let target = format!("/{BUCKET}?list-type=2&max-keys={PAGE_KEYS}");
                (Method::GET, target, 0)
            }
            Path::PutLarge => (Method::PUT, object(number), LARGE_BYTES),
            Path::GetLarge => (Method::GET, object(number % 4), 0),
        };
        Request::new(method, &target, body(number, bytes), served)
    }

    /// What a reply's body must have, at least.
    fn reply_bytes_min(self) -> usize {
        match self {
            Path::GetSmall => SMALL_BYTES,
            Path::GetLarge => LARGE_BYTES,
            Path::ListPage => PAGE_KEYS * 100,
            Path::PutSmall | Path::PutLarge | Path::HeadSmall => 0,
        }
    }

    /// Prepares `prepared` requests and sends the first `sent` of them.
    pub fn run(self, sent: usize, prepared: usize) -> Result<()> {
        if sent == 0 || sent > prepared {
            bail!("{sent} of {prepared} requests can't be sent");
        }
        let served = Served::start()?;
        let mut connection = served.connect()?;
        let bucket = Request::new(Method::PUT, &format!("/{BUCKET}"), Vec::new(), &served)?;
        served.run(connection.send(&bucket))?;
        self.prepare(&mut connection, &served)?;
        let requests: Vec<Request> =
            (0..prepared).map(|number| self.request(number, &served)).collect::<Result<_>>()?;
        let reply_bytes = served.run(async {
            let mut reply_bytes = 0;
            for request in &requests[..sent] {
                reply_bytes += connection.send(request).await?;
            }
            Ok(reply_bytes)
        })?;
        if reply_bytes < sent * self.reply_bytes_min() {
            bail!("{sent} replies of {} have {reply_bytes} bytes together", self.name());
        }
        drop(connection);
        served.stop()
    }
}

/// The path of an object; all are of one length.
fn object(number: usize) -> String {
    format!("/{BUCKET}/folder/object-{number:08}")
}

/// Contents that differ from object to object.
fn body(number: usize, bytes: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let mut body = Vec::with_capacity(bytes + 8);
    while body.len() < bytes {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        body.extend_from_slice(&state.to_le_bytes());
    }
    body.truncate(bytes);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_walked() {
        for path in Path::ALL {
            path.run(2, 2).unwrap();
            assert_eq!(Path::named(path.name()), Some(path));
        }
        assert!(Path::GetSmall.run(3, 2).is_err());
    }
}
