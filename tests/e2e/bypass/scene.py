"""The store under attack: what is in it, who may do what, and how it looks before and after."""

import json
import re
from types import SimpleNamespace

from running import ACCESS_KEY, REGION, SECRET_KEY, Store

from .operations import Builder
from .people import ALL, SECRET, People, document
from .permissions import BUCKET, S3, SOURCE, STORE
from .request import Request, encode_path
from .signing import Signer
from .wire import Reply, Wire

#: What a bucket has besides objects, by the operation that reads it.
CONFIGURATIONS = {
    "GetBucketAbac": "abac=",
    "GetBucketAccelerateConfiguration": "accelerate=",
    "GetBucketAcl": "acl=",
    "GetBucketCors": "cors=",
    "GetBucketEncryption": "encryption=",
    "GetBucketLifecycleConfiguration": "lifecycle=",
    "GetBucketLogging": "logging=",
    "GetBucketNotificationConfiguration": "notification=",
    "GetBucketOwnershipControls": "ownershipControls=",
    "GetBucketPolicy": "policy=",
    "GetBucketReplication": "replication=",
    "GetBucketRequestPayment": "requestPayment=",
    "GetBucketTagging": "tagging=",
    "GetBucketVersioning": "versioning=",
    "GetBucketWebsite": "website=",
    "GetObjectLockConfiguration": "object-lock=",
    "GetPublicAccessBlock": "publicAccessBlock=",
}


class Scene:
    """A store with a vault that nobody but root may touch, and a lobby for the tricksters."""

    vault, cellar, lobby, hall = "vault", "cellar", "lobby", "hall"
    gold, silver, under_way = "fort-knox/gold", "fort-knox/silver", "fort-knox/upload"
    #: What who may do nothing may do.
    nothing = [{"Effect": "Allow", "Action": "coffer:Nothing", "Resource": "*"}]
    #: Operations whose key is that of the upload that is under way.
    of_uploads = (
        "AbortMultipartUpload",
        "CompleteMultipartUpload",
        "ListParts",
        "UploadPart",
        "UploadPartCopy",
    )

    def __init__(self, store: Store, planted=None, planted_in_bucket=()):
        """What a test does behind the search's back: `planted` takes a user's name and statements
        and gives those that it gets instead; `planted_in_bucket` are statements that the vault's
        policy has besides."""
        self.store = store
        self.planted_in_bucket = list(planted_in_bucket)
        self.planted = planted or (lambda name, statements: statements)
        self.endpoint = store.endpoint
        self.host = store.endpoint.removeprefix("http://")
        self.wire = Wire(store.endpoint)
        self.root = Signer(ACCESS_KEY, SECRET_KEY, region=REGION)
        self.users, self.names = {}, {}
        #: How often the store was laid out.
        self.life = 0
        self.uploads = {}
        self.lay_out()
        self.pauper = self.user("pauper", self.nothing)
        self.disabled = self.user("disabled", [ALL | {"Sid": "Disabled"}])
        store.run("user", "disable", f"disabled-{len(self.users) - 1}", "DIRS")
        self.removed = self.user("removed", [ALL | {"Sid": "Removed"}])
        store.run("user", "remove", f"removed-{len(self.users) - 1}", "DIRS")
        self.people = People(self) if self.has_people() else None
        self.sessions = {}
        self.foreigners = self.people.foreigners() if self.people else {}
        self.token_of_pauper = self.people.token(self.pauper) if self.people else None
        self.views = {service: self.view(service) for service in ("s3", "iam", "sts")}
        self.operations = self.all_operations()
        self.built = {str(op) for op in self.operations if self.is_built(op)}
        self.ask("DELETE", "/nowhere-at-all-2")
        self.refusals = self.refused_by_bucket()
        self.refuse_by_bucket()
        self.configurations = [
            query for name, query in CONFIGURATIONS.items() if f"s3:{name}" in self.built
        ]
        self.fresh()

    def refused_by_bucket(self) -> dict:
        """For each action on the vault and the cellar a user who may do everything but for the
        buckets' policies, and the statements of these."""
        found = {}
        if not self.people or "s3:PutBucketPolicy" not in self.built:
            return found
        for name in sorted(n.split(":")[1] for n in self.built if n.startswith("s3:")):
            for need in S3[name]:
                if need.on != STORE and name != "CreateBucket" and need not in found:
                    user = {
                        "Effect": "Allow",
                        "Action": "*",
                        "Resource": "*",
                        "Sid": f"A{len(found)}",
                    }
                    signer = self.user(f"refused-{need.on}-{need.action[3:]}", [user])
                    principal = self.people.arn(f"user/{list(self.names.values())[-1]}")
                    bucket = self.cellar if need.on == SOURCE else self.vault
                    arn = f"arn:aws:s3:::{bucket}" + ("" if need.on == BUCKET else "/*")
                    found[need] = (
                        signer,
                        bucket,
                        {
                            "Effect": "Deny",
                            "Principal": {"AWS": principal},
                            "Action": need.action,
                            "Resource": arn,
                        },
                    )
        return found

    def refuse_by_bucket(self):
        """Gives vault and cellar their policies."""
        for bucket in (self.vault, self.cellar):
            statements = [s for _, of, s in self.refusals.values() if of == bucket]
            if bucket == self.vault and self.planted_in_bucket:
                self.ask("DELETE", f"/{bucket}", "publicAccessBlock=")
                statements += self.planted_in_bucket
            if statements:
                body = self.bucket_policy(bucket, statements).encode()
                self.must("PUT", f"/{bucket}", "policy=", body)

    def has_people(self) -> bool:
        """Whether the store speaks IAM and STS."""
        headers = (("Host", self.host), ("Content-Type", "application/x-www-form-urlencoded"))
        body = b"Action=GetCallerIdentity&Version=2011-06-15"
        signer = self.root.but(service="sts")
        return self.wire.send(signer.sign(Request("POST", "/", "", headers, body))).status == 200

    def view(self, service: str) -> SimpleNamespace:
        """What an intruder of a service knows, with signers for it."""
        signers = ("root", "pauper", "disabled", "removed")
        known = {name: getattr(self, name).but(service=service) for name in signers}
        session = self.people.session(()).but(service=service) if self.people else None
        source = f"/{self.cellar}/{self.silver}"
        return SimpleNamespace(service=service, source=source, session=session, **known)

    def all_operations(self) -> list:
        """Every operation, with a request about what is there now."""
        found = self.builder("s3", self.vault).all()
        for service in ("iam", "sts") if self.people else ():
            found += self.people.builder(service).all()
        return found

    def operation(self, name: str):
        """The operation, such as `s3:GetObject`, as it is asked for now."""
        return self.by_name[name]

    def settle(self, again: bool = False) -> dict:
        """The store's state before an attack. `again`: as it was at the beginning, whatever was
        done to it."""
        state = self.state() if again else self.baseline
        changed = {
            what
            for what in state.keys() | self.baseline.keys()
            if state.get(what) != self.baseline.get(what)
        }
        if any(not what.startswith("iam:") for what in changed):
            listed = self.must("GET", "/").body
            for name in re.findall(r"<Name>([^<]+)</Name>", listed.decode()):
                self.clear(name)
            self.lay_out()
            self.refuse_by_bucket()
        if any(what.startswith("iam:") for what in changed):
            self.people.restore()
        if changed:
            self.fresh()
        self.baseline = self.state()
        return self.baseline

    def fresh(self):
        """After the vault was filled: requests about what is in it now."""
        self.life += 1
        self.by_name = {str(op): op for op in self.all_operations()}
        self.baseline = self.state()

    def lay_out(self):
        """Makes the buckets and what is in them."""
        for bucket in (self.vault, self.cellar, self.lobby):
            self.must("PUT", f"/{bucket}")
        self.fill(self.vault)
        self.fill(self.cellar)
        self.must("PUT", f"/{self.lobby}/chair", body=b"a chair")

    def loot(self) -> list:
        """Keys and uploads in the lobby that hold what is not to be read."""
        found = []
        listed = self.must("GET", f"/{self.lobby}", "uploads=&encoding-type=url").body.decode()
        for key, upload in re.findall(r"<Key>([^<]+)</Key><UploadId>([^<]+)<", listed):
            held = self.must("GET", f"/{self.lobby}/{key}", f"uploadId={upload}").body
            # No trick gives an upload a part but by copying one.
            if b"<Part>" in held:
                found.append(f"{key}: an upload with parts")
        listed = self.must("GET", f"/{self.lobby}", "list-type=2&encoding-type=url").body.decode()
        for key in re.findall(r"<Key>([^<]+)</Key>", listed):
            if SECRET in self.must("GET", f"/{self.lobby}/{key}").body:
                found.append(key)
        return found

    def clear(self, bucket: str):
        """Deletes a bucket and what is in it."""
        listed = self.must("GET", f"/{bucket}", "versions=&encoding-type=url").body.decode()
        for key, version in re.findall(r"<Key>([^<]+)</Key><VersionId>([^<]+)<", listed):
            self.must("DELETE", f"/{bucket}/{key}", f"versionId={version}")
        self.must("DELETE", f"/{bucket}")

    def fill(self, bucket: str):
        """Objects and an upload, in a bucket that exists."""
        for key in (self.gold, self.silver):
            self.must("PUT", f"/{bucket}/{encode_path(key)}", body=SECRET + b": " + key.encode())
        reply = self.must("POST", f"/{bucket}/{encode_path(self.under_way)}", "uploads=")
        upload = re.search(rb"<UploadId>([^<]+)</UploadId>", reply.body)[1].decode()
        reply = self.must(
            "PUT",
            f"/{bucket}/{encode_path(self.under_way)}",
            f"partNumber=1&uploadId={upload}",
            body=SECRET + b": a part",
        )
        self.uploads[bucket] = (upload, reply.headers["etag"])

    def builder(self, service: str, bucket: str) -> Builder:
        """Builds requests for what is in `bucket`."""
        upload, etag = self.uploads.get(bucket, ("none", "none"))
        known = {
            "Bucket": bucket,
            "Key": self.gold,
            "UploadId": upload,
            "ETag": etag,
            "PartNumber": 1,
            "CopySource": f"{self.cellar}/{self.silver}",
            "Delete": {"Objects": [{"Key": self.gold}, {"Key": self.silver}]},
            "CreateBucket.Bucket": f"{bucket}-2",
            "Policy": self.bucket_policy(bucket, []),
        }
        for name in self.of_uploads:
            known[f"{name}.Key"] = self.under_way
        return Builder(service, self.host, known)

    @staticmethod
    def bucket_policy(bucket: str, statements) -> str:
        """A policy that lets everybody in, unless there are statements."""
        everybody = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        return document(*(statements or [everybody]))

    def is_built(self, operation) -> bool:
        """Whether the store has the operation. Of S3, what it says to root about a bucket that is
        not; of IAM, what it says to who may do nothing."""
        if operation.service == "s3":
            elsewhere = self.builder("s3", "nowhere-at-all").build(operation.name)
            return self.wire.send(self.root.sign(elsewhere.request)).status != 501
        signer = self.views[operation.service].pauper
        return self.wire.send(signer.sign(operation.request)).status != 501

    def user(self, name: str, statements, boundary=()) -> Signer:
        """A user with a policy of these statements, and perhaps a boundary of those; who has the
        same is the same."""
        key = json.dumps([list(statements), list(boundary)], sort_keys=True)
        if key not in self.users:
            file = self.store.root / f"policy-{len(self.users)}.json"
            given = self.planted(name, list(statements))
            name = f"{name[:50]}-{len(self.users)}".replace(" ", "-")
            file.write_text(document(*given))
            added = self.store.run("user", "add", name, "--policy", file, "--json", "DIRS")
            added = json.loads(added.stdout)
            if boundary:
                self.people.bound(name, boundary)
            self.users[key] = Signer(added["access_key"], added["secret_key"], region=REGION)
            self.names[key] = name
        return self.users[key]

    def ask(self, method: str, path: str, query: str = "", body: bytes = b"", headers=()) -> Reply:
        """A request of root's."""
        headers = (("Host", self.host), *headers)
        return self.wire.send(self.root.sign(Request(method, path, query, headers, body)))

    def must(self, method: str, path: str, query: str = "", body: bytes = b"", headers=()) -> Reply:
        reply = self.ask(method, path, query, body, headers)
        assert reply.status < 300, f"{method} {path}?{query}: {reply}\n{reply.body!r}"
        return reply

    def state(self) -> dict:
        """All that an intruder could have changed, as root sees it."""
        listed = self.must("GET", "/").body
        state = {"/": _facts(listed)}
        for name in re.findall(r"<Name>([^<]+)</Name>", listed.decode()):
            state |= self.state_of(name)
        if self.people:
            state |= self.people.state()
        return state

    def state_of(self, bucket: str) -> dict:
        """The same of one bucket."""
        state = {}
        for listing in ("list-type=2", "versions=", "uploads="):
            query = f"{listing}&encoding-type=url"
            state[f"{bucket}?{query}"] = _facts(self.must("GET", f"/{bucket}", query).body)
        for query in ("x-coffer-ack=", *self.configurations):
            reply = self.ask("GET", f"/{bucket}", query)
            state[f"{bucket}?{query}"] = (reply.status, _facts(reply.body))
        uploads = state[f"{bucket}?uploads=&encoding-type=url"]
        for key, upload in re.findall(r"<Key>([^<]+)</Key><UploadId>([^<]+)<", uploads):
            path = f"/{bucket}/{key}"
            state[f"{path} {upload}"] = _facts(self.must("GET", path, f"uploadId={upload}").body)
        return state


def _facts(xml: bytes) -> str:
    """A reply without what differs from one reply to the next."""
    return re.sub(r"<(RequestId|HostId)>[^<]*</\1>", "", xml.decode())
