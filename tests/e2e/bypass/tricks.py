"""Requests that no SDK sends, by somebody who may do much in the lobby and nothing in the vault.

A trick fails if the vault is not read and the store is not changed. How it is refused is not
said: a server may take `/lobby/../vault/gold` for a key of that name, and not have it.
"""

from dataclasses import dataclass, replace
from typing import Callable

from . import tricks_people
from .request import Request, encode, encode_path
from .scene import Scene
from .signing import Signer

VAULT, LOBBY, GOLD = Scene.vault, Scene.lobby, Scene.gold
#: Below it the server takes names of hosts for buckets.
DOMAIN = "s3.example"


@dataclass(frozen=True)
class Trick:
    """A way around the question, as bytes to send."""

    name: str
    request: Request
    raw: bytes
    #: Whether its sender may change the lobby.
    at_home: bool
    #: Whether the connection is not to be used for anything else.
    alone: bool


def lobbyist(scene: Scene) -> Signer:
    """Who may do everything in the lobby, and anywhere else list the names of buckets."""
    return scene.user(
        "lobbyist",
        [
            {
                "Effect": "Allow",
                "Action": "s3:*",
                "Resource": [f"arn:aws:s3:::{LOBBY}", f"arn:aws:s3:::{LOBBY}/*"],
            },
        ],
    )


def reader(scene: Scene) -> Signer:
    """Who may read everything in the lobby, and write nothing."""
    return scene.user(
        "lobby-reader",
        [
            {
                "Effect": "Allow",
                "Action": ["s3:Get*", "s3:List*"],
                "Resource": [f"arn:aws:s3:::{LOBBY}", f"arn:aws:s3:::{LOBBY}/*"],
            },
        ],
    )


def all_of(scene: Scene) -> list:
    tricks, key, alone = [], lobbyist(scene).access_key.encode(), False

    def add(name: str, request, raw: Callable | bytes | None = None):
        data = raw(request.raw()) if callable(raw) else raw or request.raw()
        tricks.append(Trick(name, request, data, key in data, alone))

    for make in (_paths, _hosts, _methods, _copies, _uploads, _documents, _anonymous):
        make(scene, add)
    if scene.people:
        tricks_people.add_all(scene, add)
    alone = True
    _framing(scene, add)
    return tricks


def _plain(
    scene: Scene, method: str, path: str, query: str = "", body: bytes = b"", *headers
) -> Request:
    return Request(method, path, query, (("Host", scene.host), *headers), body)


def _paths(scene: Scene, add):
    """Other spellings of the vault's names, signed by who may be in the lobby only."""
    up = ("..", "%2e%2e", "%2E.", ".%2e", "..%00", "..;")
    paths = [
        *(f"/{LOBBY}/{dots}/{VAULT}/{GOLD}" for dots in up),
        *(f"/{LOBBY}%2f{dots}%2f{VAULT}%2f{encode(GOLD)}" for dots in up),
        f"//{VAULT}/{GOLD}",
        f"///{VAULT}/{GOLD}",
        f"/./{VAULT}/{GOLD}",
        f"/%2e/{VAULT}/{GOLD}",
        f"/{VAULT}//{GOLD}",
        f"/{VAULT}/./{GOLD}",
        f"/{VAULT}%2f{encode(GOLD)}",
        f"/%2f{VAULT}/{GOLD}",
        f"/{LOBBY}/%2f..%2f{VAULT}%2f{encode(GOLD)}",
        f"/{LOBBY}/..%5c{VAULT}%5c{encode(GOLD)}",
        f"/{LOBBY}%00/{GOLD}",
        f"/{VAULT}%00{LOBBY}/{GOLD}",
        f"/{VAULT}%20/{GOLD}",
        f"/{VAULT.upper()}/{GOLD}",
        f"/{VAULT}./{GOLD}",
        f"/{VAULT}/{GOLD}/",
        f"/{VAULT}/{GOLD}%00",
        f"/{VAULT}/{GOLD}?versionId=null",
        f"/{LOBBY};{VAULT}/{GOLD}",
        f"/{LOBBY}@{VAULT}/{GOLD}",
        f"/{LOBBY}#/../{VAULT}/{GOLD}",
        f"/{VAULT}/%66ort-knox/gold",
        f"/%76ault/{GOLD}",
        f"/{VAULT}/fort-knox%2Fgold",
        f"/{VAULT}/fort-knox%252Fgold",
        f"/%2576ault/{GOLD}",
    ]
    for signer, who in ((lobbyist(scene), "lobbyist"), (reader(scene), "reader")):
        for path in paths:
            path, _, query = path.partition("?")
            for method in ("GET", "PUT", "DELETE"):
                body = b"~" if method == "PUT" else b""
                add(
                    f"{who}: {method} {path}", signer.sign(_plain(scene, method, path, query, body))
                )
                # Signed as a plain path of the lobby, sent as another.
                home = signer.sign(_plain(scene, method, f"/{LOBBY}/{GOLD}", query, body))
                add(
                    f"{who}: {method} {path} under a signature of the lobby",
                    replace(home, path=path),
                )
    for path in (
        f"/{VAULT}/",
        f"/{VAULT}//",
        f"//{VAULT}",
        f"/{LOBBY}/../{VAULT}",
        f"/{LOBBY}/../{VAULT}/",
    ):
        for query in ("", "list-type=2", "uploads=", "acl="):
            add(
                f"lobbyist: list {path}?{query}",
                lobbyist(scene).sign(_plain(scene, "GET", path, query)),
            )
    for query in (
        f"prefix=../{VAULT}/",
        f"prefix=%2F{VAULT}",
        f"bucket={VAULT}",
        f"delimiter=%00&prefix={VAULT}",
    ):
        add(f"lobbyist: ?{query}", lobbyist(scene).sign(_plain(scene, "GET", f"/{LOBBY}", query)))


def _hosts(scene: Scene, add):
    """The bucket in the host's name, or in both, or in neither."""
    signer = lobbyist(scene)
    port = scene.host.rsplit(":", 1)[1]
    for host in (
        f"{VAULT}.{DOMAIN}",
        f"{VAULT}.{DOMAIN}:{port}",
        f"{VAULT}.{DOMAIN}.",
        f"{VAULT.upper()}.{DOMAIN}",
        f"{LOBBY}.{VAULT}.{DOMAIN}",
        f"{VAULT}.{LOBBY}.{DOMAIN}",
        f".{DOMAIN}",
        f"{VAULT}.{DOMAIN}@{LOBBY}",
    ):
        for path in (f"/{GOLD}", f"/{LOBBY}/{GOLD}", f"/{VAULT}/{GOLD}", f"/../{VAULT}/{GOLD}"):
            asked = _plain(scene, "GET", path).having(("Host", host))
            add(f"host {host}, {path}", signer.sign(asked))
    home = signer.sign(_plain(scene, "GET", f"/{GOLD}").having(("Host", f"{LOBBY}.{DOMAIN}")))
    elsewhere = home.having(("Host", f"{VAULT}.{DOMAIN}"))
    add("host changed after signing", elsewhere)
    add("two hosts, the signed one first", home.adding(("Host", f"{VAULT}.{DOMAIN}")))
    add("two hosts, the signed one last", elsewhere.adding(("Host", f"{LOBBY}.{DOMAIN}")))
    for name in ("X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded"):
        add(f"{name} names the vault", home.adding((name, f"{VAULT}.{DOMAIN}")))
    for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Prefix"):
        add(f"{name} names the vault", home.adding((name, f"/{VAULT}/{GOLD}")))
    # Absolute-form: RFC 9112, 3.2.2, has the server ignore Host.
    for target in (
        f"http://{VAULT}.{DOMAIN}/{GOLD}",
        f"http://{scene.host}/{VAULT}/{GOLD}",
        f"HTTP://{VAULT}.{DOMAIN}/{GOLD}",
    ):
        add(f"absolute form {target}", replace(home, path=target))
        signed = signer.sign(_plain(scene, "GET", f"/{VAULT}/{GOLD}"))
        add(f"absolute form {target}, signed for the vault", replace(signed, path=target))
    path_style = signer.sign(_plain(scene, "GET", f"/{LOBBY}/chair"))
    add(
        "authority of another host",
        replace(path_style, path=f"http://{VAULT}.{DOMAIN}/{LOBBY}/chair"),
    )


def _methods(scene: Scene, add):
    """A method in another place than the first word."""
    signer = reader(scene)
    read = _plain(scene, "GET", f"/{LOBBY}/chair")
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        for method in ("PUT", "DELETE", "POST"):
            add(f"{name}: {method}", signer.sign(read.adding((name, method))))
            add(f"{name}: {method}, nobody", read.adding((name, method)))
    for query in ("_method=DELETE", "X-HTTP-Method-Override=DELETE", "x-amz-method=DELETE"):
        add(f"?{query}", signer.sign(replace(read, query=query)))
    for method in (
        "delete",
        "Delete",
        "PUT ",
        "TRACE",
        "CONNECT",
        "PATCH",
        "PROPFIND",
        "MOVE",
        "COPY",
        "OPTIONS",
        "get",
    ):
        for path in (f"/{LOBBY}/chair", f"/{VAULT}/{GOLD}", f"/{VAULT}"):
            asked = replace(read, method=method, path=path)
            add(f"{method} {path} by a reader", signer.sign(asked))
            add(f"{method} {path} by nobody", asked)
    for method in ("PUT", "DELETE", "POST"):
        for query in (
            "",
            "uploads=",
            "delete=",
            "tagging=",
            "acl=",
            "policy=",
            "x-coffer-ack=quorum",
        ):
            asked = _plain(
                scene, method, f"/{LOBBY}", query, b"<x/>" if method != "DELETE" else b""
            )
            add(f"{method} /{LOBBY}?{query} by a reader", signer.sign(asked))


def _copies(scene: Scene, add):
    """Copies of what the copier may not read, and onto what it may not write."""
    signer = lobbyist(scene)
    upload = _begin(scene, signer)
    source = f"{VAULT}/{GOLD}"
    sources = [
        source,
        f"/{source}",
        f"//{source}",
        encode(source),
        "/" + encode(source),
        f"{VAULT}/{encode(GOLD)}",
        f"{LOBBY}/../{source}",
        f"/{LOBBY}/../{source}",
        f"{source}?versionId=null",
        f"/{source}?versionId=",
        f"arn:aws:s3:us-east-1:123456789012:accesspoint/x/object/{GOLD}",
        f"arn:aws:s3:::{source}",
        f"http://{scene.host}/{source}",
        f"{VAULT}%2f{encode(GOLD)}",
        f"{VAULT}%252f{GOLD}",
        f" {source}",
        f"{source}\t",
        f"{LOBBY}/chair?versionId=null/../../{source}",
        f"{LOBBY}/chair,{source}",
    ]
    for text in sources:
        for name in ("x-amz-copy-source", "X-Amz-Copy-Source", "X-AMZ-COPY-SOURCE"):
            header = (name, text)
            put = _plain(scene, "PUT", f"/{LOBBY}/stolen", "", b"", header)
            add(f"copy of {text!r} by {name}", signer.sign(put))
        part = f"partNumber=2&uploadId={upload}"
        add(
            f"part copied of {text!r}",
            signer.sign(_plain(scene, "PUT", f"/{LOBBY}/mine", part, b"", header)),
        )
        put = _plain(scene, "PUT", f"/{LOBBY}/stolen", f"x-amz-copy-source={encode(text)}")
        add(f"copy of {text!r} in the query", signer.sign(put))
        add(
            f"copy of {text!r} in the query, presigned",
            signer.presign(replace(put, query="").asking(("X-Amz-Copy-Source", text))),
        )
    home = ("x-amz-copy-source", f"{LOBBY}/chair")
    for headers in (
        (home, ("x-amz-copy-source", source)),
        (("x-amz-copy-source", source), home),
    ):
        add("two sources", signer.sign(_plain(scene, "PUT", f"/{LOBBY}/stolen", "", b"", *headers)))
    signed = signer.sign(_plain(scene, "PUT", f"/{LOBBY}/stolen", "", b"", home))
    add("a second source, unsigned", signed.adding(("x-amz-copy-source", source)))
    add("another source after signing", signed.having(("x-amz-copy-source", source)))
    add("another source in the query", signed.asking(("x-amz-copy-source", source)))
    add("onto the vault", signer.sign(_plain(scene, "PUT", f"/{VAULT}/{GOLD}", "", b"", home)))
    ranged = (("x-amz-copy-source", source), ("x-amz-copy-source-range", "bytes=0-1"))
    part = f"partNumber=3&uploadId={upload}"
    add(
        "a range of the vault",
        signer.sign(_plain(scene, "PUT", f"/{LOBBY}/mine", part, b"", *ranged)),
    )
    rename = ("x-amz-rename-source", source)
    add(
        "a rename",
        signer.sign(_plain(scene, "PUT", f"/{LOBBY}/stolen", "renameObject=", b"", rename)),
    )


def _begin(scene: Scene, signer: Signer) -> str:
    """An upload of the lobbyist's own."""
    import re

    reply = scene.wire.send(signer.sign(_plain(scene, "POST", f"/{LOBBY}/mine", "uploads=")))
    found = re.search(rb"<UploadId>([^<]+)</UploadId>", reply.body)
    return found[1].decode() if found else "none"


def _uploads(scene: Scene, add):
    """Another's upload under a name of one's own, and one's own under a name of another's."""
    signer = lobbyist(scene)
    stolen, etag = scene.uploads[VAULT]
    done = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
        "</CompleteMultipartUpload>"
    ).encode()
    for path in (
        f"/{LOBBY}/mine",
        f"/{LOBBY}/{Scene.under_way}",
        f"/{VAULT}/{Scene.under_way}",
        f"/{LOBBY}/../{VAULT}/{Scene.under_way}",
    ):
        for upload in (stolen, stolen.upper(), f"../{stolen}", f"{stolen}%00", "*", ""):
            query = f"uploadId={upload}"
            add(f"GET {path}?{query}", signer.sign(_plain(scene, "GET", path, query)))
            add(f"DELETE {path}?{query}", signer.sign(_plain(scene, "DELETE", path, query)))
            add(f"POST {path}?{query}", signer.sign(_plain(scene, "POST", path, query, done)))
            add(
                f"PUT {path}?{query}",
                signer.sign(_plain(scene, "PUT", path, f"partNumber=1&{query}", b"~")),
            )
    mine = _begin(scene, signer)
    double = f"uploadId={mine}&uploadId={stolen}"
    for query in (double, "&".join(reversed(double.split("&")))):
        add(f"two ids: {query}", signer.sign(_plain(scene, "GET", f"/{LOBBY}/mine", query)))
        add(
            f"abort two ids: {query}",
            signer.sign(_plain(scene, "DELETE", f"/{LOBBY}/{Scene.under_way}", query)),
        )


def _documents(scene: Scene, add):
    """DeleteObjects of keys elsewhere, and other documents than were asked for."""
    import base64
    import hashlib

    signer = lobbyist(scene)

    def post(name, bucket, document, by=signer):
        body = document.encode()
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        add(
            name,
            by.sign(_plain(scene, "POST", f"/{bucket}", "delete=", body, ("Content-MD5", md5))),
        )

    for key in (
        f"../{VAULT}/{GOLD}",
        f"/{VAULT}/{GOLD}",
        f"{VAULT}/{GOLD}",
        f"..%2f{VAULT}%2f{GOLD}",
        f"arn:aws:s3:::{VAULT}/{GOLD}",
    ):
        post(f"delete {key}", LOBBY, f"<Delete><Object><Key>{key}</Key></Object></Delete>")
    post("delete in the vault", VAULT, f"<Delete><Object><Key>{GOLD}</Key></Object></Delete>")
    post(
        "delete in the vault, quietly",
        VAULT,
        f"<Delete><Quiet>true</Quiet><Object><Key>{GOLD}</Key></Object></Delete>",
    )
    post(
        "delete with another bucket in the document",
        LOBBY,
        f"<Delete><Bucket>{VAULT}</Bucket><Object><Bucket>{VAULT}</Bucket><Key>{GOLD}</Key></Object></Delete>",
    )
    post(
        "an entity",
        LOBBY,
        f'<!DOCTYPE x [<!ENTITY k "{GOLD}">]><Delete><Object><Key>&k;</Key></Object></Delete>',
    )
    post(
        "a file as an entity",
        LOBBY,
        '<!DOCTYPE x [<!ENTITY k SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&k;</Key></Object></Delete>',
    )
    post("by a reader", LOBBY, "<Delete><Object><Key>chair</Key></Object></Delete>", reader(scene))
    document = f"<Delete><Object><Key>{GOLD}</Key></Object></Delete>".encode()
    add("delete in the vault by nobody", _plain(scene, "POST", f"/{VAULT}", "delete=", document))
    signed = signer.sign(_plain(scene, "POST", f"/{LOBBY}", "delete=", document))
    add("a document of the lobby sent to the vault", replace(signed, path=f"/{VAULT}"))


def _anonymous(scene: Scene, add):
    """What needs no signature by its nature, for what does."""
    form = (
        '--x\r\nContent-Disposition: form-data; name="key"\r\n\r\n{key}\r\n'
        '--x\r\nContent-Disposition: form-data; name="AWSAccessKeyId"\r\n\r\n'
        + scene.root.access_key
        + "\r\n"
        '--x\r\nContent-Disposition: form-data; name="policy"\r\n\r\ne30=\r\n'
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nforged\r\n--x--\r\n'
    )
    kind = ("Content-Type", "multipart/form-data; boundary=x")
    for bucket in (VAULT, LOBBY):
        for path in (f"/{bucket}", f"/{bucket}/", f"/{bucket}/{GOLD}", "/"):
            body = form.format(key=GOLD).encode()
            add(f"a form to {path}", _plain(scene, "POST", path, "", body, kind))
            for query in (
                "delete=",
                "uploads=",
                "uploadId=x",
                "restore=",
                "select=&select-type=2",
                "metadataTable=",
            ):
                add(f"a form to {path}?{query}", _plain(scene, "POST", path, query, body, kind))
            for method in ("PUT", "GET", "DELETE"):
                add(f"{method} of a form to {path}", _plain(scene, method, path, "", body, kind))
    cors = (("Origin", "https://evil.example"), ("Access-Control-Request-Method", "PUT"))
    for path in ("/", f"/{VAULT}", f"/{VAULT}/{GOLD}"):
        for query in ("", "uploads=", "delete=", "policy="):
            add(f"a preflight to {path}?{query}", _plain(scene, "OPTIONS", path, query, b"", *cors))
            add(
                f"a preflight with a copy source to {path}?{query}",
                _plain(
                    scene, "OPTIONS", path, query, b"", ("x-amz-copy-source", f"{VAULT}/{GOLD}")
                ),
            )
    for path in (
        "/minio/health/live",
        "/minio/admin/v3/info",
        "/rustfs/rpc/read_file_stream",
        "/rustfs/admin/v3/info",
        "/minio/prometheus/metrics",
        "/metrics",
        "/admin/users",
        "/v1/users",
        "/health",
        "/node_service.NodeService/ReadAll",
        "/.well-known/openid-configuration",
        "/_admin",
        "/debug/pprof/",
    ):
        for headers in (
            (),
            (("Authorization", "rustfs rpc"),),
            (("authorization", "Bearer x"), ("Content-Type", "application/grpc")),
        ):
            add(f"{path} by nobody {headers}", _plain(scene, "GET", path, "", b"", *headers))
            add(f"POST {path} by nobody {headers}", _plain(scene, "POST", path, "", b"", *headers))


def _framing(scene: Scene, add):
    """One request inside another, old versions, and headers that two parsers read in two ways."""
    signer = lobbyist(scene)
    home = _plain(scene, "PUT", f"/{LOBBY}/chair", "", b"a chair")
    inner = signer.sign(_plain(scene, "GET", f"/{VAULT}/{GOLD}")).raw()
    signed = signer.sign(home)
    add(
        "HTTP/1.0",
        replace(signer.sign(_plain(scene, "GET", f"/{VAULT}/{GOLD}")), version="HTTP/1.0"),
    )
    add("HTTP/1.0 by nobody", replace(_plain(scene, "GET", f"/{VAULT}/{GOLD}"), version="HTTP/1.0"))
    add(
        "HTTP/1.0 without a host",
        replace(_plain(scene, "GET", f"/{VAULT}/{GOLD}").without("host"), version="HTTP/1.0"),
    )
    add("no host", signer.sign(_plain(scene, "GET", f"/{VAULT}/{GOLD}").without("host")))
    add(
        "no host, root's signature of it",
        scene.root.sign(
            _plain(scene, "GET", f"/{VAULT}/{GOLD}").without("host"),
            signed=["x-amz-content-sha256", "x-amz-date"],
        ),
    )
    both = signed.adding(("Content-Length", "7"), ("Transfer-Encoding", "chunked"))
    add("two framings", replace(both, body=b"0\r\n\r\n" + inner))
    add(
        "two lengths",
        replace(
            signed.adding(("Content-Length", "7"), ("Content-Length", "0")), body=b"a chair" + inner
        ),
    )
    add("a length with a sign", signed.adding(("Content-Length", "+7")))
    add(
        "chunked, badly",
        replace(signed.adding(("Transfer-Encoding", "xchunked")), body=b"0\r\n\r\n" + inner),
    )
    add(
        "a request in the body",
        replace(signed.adding(("Content-Length", str(len(inner)))), body=inner),
    )
    header = b"x-amz-copy-source : vault/fort-knox/gold\r\n"
    head = b"x-amz-date"
    add("a space before the colon", signed, lambda raw: raw.replace(head, header + head, 1))
    folded = b"x-amz-copy-source:\r\n vault/fort-knox/gold\r\n"
    add("a folded header", signed, lambda raw: raw.replace(head, folded + head, 1))
    for name in (
        "x_amz_copy_source",
        "x-amz_copy-source",
        "x-amz-copy-source\x0b",
        "\x0bx-amz-copy-source",
    ):
        line = f"{name}: {VAULT}/{GOLD}\r\n".encode()
        add(f"a header {name!r}", signed, lambda raw, line=line: raw.replace(head, line + head, 1))
    add(
        "a line feed in a value",
        signed,
        lambda raw: raw.replace(
            b"\r\nx-amz-date", b"\nx-amz-copy-source: vault/fort-knox/gold\r\nx-amz-date", 1
        ),
    )
    add(
        "a carriage return in a value",
        signed,
        lambda raw: raw.replace(
            b"\r\nx-amz-date", b"\rx-amz-copy-source: vault/fort-knox/gold\r\nx-amz-date", 1
        ),
    )
    add("a nul in a value", signed.having(("x-amz-date", scene.root.date() + "\0")))
