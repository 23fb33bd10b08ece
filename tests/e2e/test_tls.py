"""TLS and HTTP/2: the same S3 over each wire, certificates and their replacement, what is refused."""

import hashlib
import json
import random
import shutil
import signal
import ssl
import subprocess
import time

import pytest

import programs
import raw
import wires
from acme import Pebble, free_ports, make_certificate, make_old_certificate
from running import binary, clean_environment, find_event, host_of

SELF_SIGNED = ["--tls", "self-signed"]
DATA = random.Random(7).randbytes(300_000)


def secure(store):
    """A started store with a self-signed certificate, and clients that trust it."""
    store.flags += SELF_SIGNED
    store.start()
    store.ca = store.drives[0] / "tls-self-signed.crt"
    return store


def shown(store, **context):
    """The certificate (DER) that the port shows."""
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    with store.connect() as plain:
        with trust.wrap_socket(plain, server_hostname="localhost", **context) as wrapped:
            return wrapped.getpeercert(binary_form=True)


def fingerprint(der: bytes) -> str:
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(der).digest())


def der_of(path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text()[path.read_text().index("-----BEGIN C"):])


def until(what, timeout_s: float = 30):
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


@pytest.fixture(params=["http", "https", "h2c", "h2"])
def wire(request, make_store):
    """A store, and how it is spoken to."""
    own = make_store(start=False)
    own = secure(own) if request.param in ("https", "h2") else own.start()
    send = wires.http2 if request.param.startswith("h2") else wires.http1
    return lambda *arguments, **named: send(own, *arguments, **named)


def test_s3_is_the_same_over_each_wire(wire):
    assert wire("PUT", "/bkt").status == 200
    put = wire("PUT", "/bkt/a%20key/%C3%BC", headers={"x-amz-meta-a": "b"}, body=DATA)
    assert put.status == 200
    assert put.headers["etag"] == f'"{hashlib.md5(DATA).hexdigest()}"'
    got = wire("GET", "/bkt/a%20key/%C3%BC")
    assert (got.status, got.body, got.headers["x-amz-meta-a"]) == (200, DATA, "b")
    part = wire("GET", "/bkt/a%20key/%C3%BC", headers={"Range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, DATA[1000:2000])
    head = wire("HEAD", "/bkt/a%20key/%C3%BC")
    assert (head.status, head.headers["content-length"]) == (200, str(len(DATA)))
    same = wire("GET", "/bkt/a%20key/%C3%BC", headers={"If-None-Match": put.headers["etag"]})
    assert (same.status, same.body) == (304, b"")
    listed = wire("GET", "/bkt", "list-type=2&prefix=a%20key%2F")
    assert [k.text for k in listed.xml.iter("Key")] == ["a key/ü"]
    missing = wire("GET", "/bkt/none")
    assert (missing.status, missing.code) == (404, "NoSuchKey")
    refused = wire("PUT", "/none/key", body=DATA)
    assert (refused.status, refused.code) == (404, "NoSuchBucket")
    wrong = wire("PUT", "/bkt/k", headers={"Content-MD5": raw.base64_of(b"0" * 16)}, body=b"x")
    assert (wrong.status, wrong.code) == (400, "BadDigest")
    upload = wire("POST", "/bkt/big", "uploads=").xml.findtext("UploadId")
    tags = []
    for number, body in ((1, DATA * 20), (2, b"end")):
        query = f"partNumber={number}&uploadId={upload}"
        tags.append(wire("PUT", "/bkt/big", query, body=body).headers["etag"])
    parts = "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>"
        for n, tag in enumerate(tags, 1)
    )
    document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    assert wire("POST", "/bkt/big", f"uploadId={upload}", body=document).status == 200
    assert wire("GET", "/bkt/big").body == DATA * 20 + b"end"
    assert wire("DELETE", "/bkt/big").status == 204


def test_clients_work_over_tls(make_store, folder):
    store = secure(make_store(start=False))
    s3 = store.client()
    s3.create_bucket(Bucket="bkt")
    s3.put_object(Bucket="bkt", Key="k", Body=DATA)
    assert s3.get_object(Bucket="bkt", Key="k")["Body"].read() == DATA
    file = folder / "file"
    file.write_bytes(DATA * 40)
    programs.aws(store, "--ca-bundle", store.ca, "s3", "cp", file, "s3://bkt/file")
    programs.aws(store, "--ca-bundle", store.ca, "s3", "cp", "s3://bkt/file", folder / "back")
    assert (folder / "back").read_bytes() == DATA * 40
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bkt", "Key": "file"})
    for version in ("--http1.1", "--http2"):
        for tls in (["--tls-max", "1.2"], ["--tlsv1.3"]):
            where = folder / "curl"
            said = programs.curl(
                "--cacert", store.ca, version, *tls, "--output", where,
                "--write-out", "%{http_version}", url,
            )
            assert said == version.removeprefix("--http").replace("2.0", "2")
            assert where.read_bytes() == DATA * 40
    # The version is one that policies may ask about, as AWS's own example does.
    old = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bkt/*",
        "Condition": {"NumericLessThan": {"s3:TlsVersion": 1.3}},
    }
    s3.put_bucket_policy(
        Bucket="bkt", Policy=json.dumps({"Version": "2012-10-17", "Statement": [old]})
    )
    programs.curl("--cacert", store.ca, "--tlsv1.3", "--output", where, url)
    with pytest.raises(AssertionError, match="returned error: 403"):
        programs.curl("--cacert", store.ca, "--tls-max", "1.2", "--output", where, url)
    # Whoever was not told to trust it doesn't.
    with pytest.raises(ssl.SSLCertVerificationError):
        trust = ssl.create_default_context()
        with store.connect() as plain:
            trust.wrap_socket(plain, server_hostname="localhost")


def test_a_self_signed_certificate_is_told_of_and_kept(make_store):
    store = secure(make_store(drives=3, start=False))
    assert store.endpoint.startswith("https://")
    event = find_event(store.log, 0, "listening")
    first = shown(store)
    assert event["fingerprint"] == fingerprint(first) == fingerprint(der_of(store.ca))
    assert store.status()["tls"]["fingerprint"] == fingerprint(first)
    assert fingerprint(first) in store.run("status", "DIRS").stdout
    assert store.metric("coffer_tls_valid_until_seconds") > time.time() + 300 * 86_400
    for drive in store.drives:
        assert (drive / "tls-self-signed.pem").stat().st_mode & 0o777 == 0o600
    store.stop()
    # Any one directory is enough to go on with it, and the others get it back.
    for drive in store.drives[:2]:
        (drive / "tls-self-signed.pem").unlink()
    (store.drives[2] / "tls-self-signed.crt").unlink()
    store.start()
    assert shown(store) == first
    texts = {(drive / "tls-self-signed.pem").read_text() for drive in store.drives}
    assert len(texts) == 1
    assert all(der_of(drive / "tls-self-signed.crt") == first for drive in store.drives)
    store.stop()
    # One that can't be used is replaced; so is one that is not for the names in use.
    for drive in store.drives:
        (drive / "tls-self-signed.pem").write_text("garbage")
    store.start()
    second = shown(store)
    assert second != first
    store.stop()
    store.start("--domain", "s3.example.test")
    trust = ssl.create_default_context(cafile=store.ca)
    for name in ("bkt.s3.example.test", "s3.example.test", "localhost", "127.0.0.1"):
        with store.connect() as plain, trust.wrap_socket(plain, server_hostname=name):
            pass


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA", "Ed25519"])
def test_every_kind_of_key_is_served(make_store, folder, kind):
    cert, key = folder / "cert.pem", folder / "key.pem"
    make_certificate(cert, key, "localhost", kind=kind)
    store = make_store(flags=["--tls-cert", cert, "--tls-key", key])
    store.ca = cert
    assert raw.send(store, "GET", "/").status == 200
    assert shown(store) == der_of(cert)


def test_files_are_reloaded_and_a_bad_pair_is_not_taken(make_store, folder):
    cert, key = folder / "cert.pem", folder / "key.pem"
    make_certificate(cert, key, "localhost")
    first = der_of(cert)
    store = make_store(flags=["--tls-cert", cert, "--tls-key", key])
    store.ca = folder / "first.pem"
    shutil.copy(cert, store.ca)
    assert shown(store) == first
    with ssl.create_default_context(cafile=store.ca).wrap_socket(
        store.connect(), server_hostname="localhost"
    ) as old:
        # Changed under a running server: noticed by itself.
        make_certificate(folder / "2.pem", folder / "2.key", "localhost")
        second = der_of(folder / "2.pem")
        (folder / "2.key").replace(key)
        (folder / "2.pem").replace(cert)
        until(lambda: shown(store) == second)
        old.sendall(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        assert old.recv(12) == b"HTTP/1.1 403", "the connection from before goes on"
    # A certificate without its key, garbage, nothing: the old one stays, and it is said.
    make_certificate(folder / "3.pem", folder / "3.key", "localhost")
    for spoil in (
        lambda: shutil.copy(folder / "3.pem", cert),
        lambda: cert.write_text("-----BEGIN CERTIFICATE-----\ngarbage\n"),
        lambda: cert.unlink(),
    ):
        size = store.log.stat().st_size
        spoil()
        store.process.send_signal(signal.SIGHUP)
        until(lambda: find_event(store.log, size, "certificate_refused"))
        assert shown(store) == second
        assert store.metric("coffer_tls_certificate_refused") == 1
        assert store.status()["tls"]["refused"]
    assert "REFUSED" in store.run("status", "DIRS").stdout
    shutil.copy(folder / "3.key", key)
    shutil.copy(folder / "3.pem", cert)
    store.process.send_signal(signal.SIGHUP)
    until(lambda: shown(store) == der_of(folder / "3.pem"))
    assert store.metric("coffer_tls_certificate_refused") == 0
    store.stop()


def refused(folder, *flags, code: int = 2) -> str:
    """What a server that does not start says; it leaves no trace."""
    done = subprocess.run(
        [binary(), "serve", "--admin-listen", "127.0.0.1:0", *map(str, flags), folder / "data"],
        capture_output=True, text=True, timeout=60, cwd=folder,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert not (folder / "data").exists()
    return done.stderr


def test_starts_that_would_be_unsafe_or_senseless_are_refused(folder):
    for address in ("0.0.0.0:0", "[::]:0"):
        said = refused(folder, "--listen", address)
        for way in ("tls_cert", "acme_domain", 'tls = "self-signed"', "allow_plaintext"):
            assert way in said, said
    cert, key, other = folder / "c.pem", folder / "k.pem", folder / "o.pem"
    make_certificate(cert, key, "localhost")
    make_certificate(folder / "x.pem", other, "localhost")
    here = ["--listen", "127.0.0.1:0"]
    assert "do not fit" in refused(folder, *here, "--tls-cert", cert, "--tls-key", other)
    assert "none.pem" in refused(folder, *here, "--tls-cert", folder / "none.pem")
    assert "PRIVATE KEY" in refused(folder, *here, "--tls-cert", cert)
    assert "without tls_cert" in refused(folder, *here, "--tls-key", key)
    assert "wildcard" in refused(folder, *here, "--acme-domain", "*.example.test")
    assert "neither" in refused(folder, *here, "--tls", "maybe")


def test_plaintext_is_served_to_others_only_when_that_is_allowed(make_store):
    store = make_store(start=False)
    store.flags += ["--allow-plaintext"]
    # Whoever gives --listen twice listens at both.
    store.flags += ["--listen", "0.0.0.0:0"]
    store.start()
    assert raw.send(store, "GET", "/").status == 200


def test_plain_http_on_a_tls_port_is_told_so(make_store):
    store = secure(make_store(start=False))
    with store.connect() as plain:
        plain.sendall(b"GET /bkt/k HTTP/1.1\r\nhost: h\r\n\r\n")
        reply = b"".join(iter(lambda: plain.recv(4096), b""))
    assert reply.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"https://" in reply
    events = store.admin_get("/metrics")
    assert 'coffer_connection_events_total{event="plaintext_refused"} 1' in events


def test_a_signature_is_for_the_authority(make_store):
    """A request signed for one host and sent to another is refused, over HTTP/2 as well."""
    store = secure(make_store(start=False))
    assert wires.http2(store, "PUT", "/bkt").status == 200
    url = store.client().generate_presigned_url("list_objects_v2", Params={"Bucket": "bkt"})
    host = host_of(store.endpoint)
    other = url.replace(host, f"localhost:{host.rsplit(':', 1)[1]}")
    for version in ("--http1.1", "--http2"):
        where = ["--cacert", store.ca, version, "--write-out", "%{http_code}", "--silent"]
        curl = [programs.find("curl"), *map(str, where), "--output", "/dev/null"]
        codes = [subprocess.run([*curl, u], capture_output=True, text=True).stdout for u in (url, other)]
        assert codes == ["200", "403"], version


def test_a_server_that_drains_tells_http2_clients(make_store, folder):
    store = secure(make_store(start=False))
    s3 = store.client()
    s3.create_bucket(Bucket="bkt")
    s3.put_object(Bucket="bkt", Key="k", Body=DATA * 100)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bkt", "Key": "k"})
    slow = subprocess.Popen(
        [programs.find("curl"), "--silent", "--http2", "--cacert", str(store.ca),
         "--limit-rate", "15M", "--output", str(folder / "back"), url]
    )
    until(lambda: (folder / "back").exists() and (folder / "back").stat().st_size > 0)
    store.stop()
    assert slow.wait(timeout=60) == 0
    assert (folder / "back").read_bytes() == DATA * 100


@pytest.fixture
def pebble(folder):
    """An ACME server that finds coffer at `pebble.port`."""
    started = []

    def start(port):
        started.append(Pebble(folder / f"pebble{len(started)}", port))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_certificates_come_from_an_acme_server(make_store, folder, pebble):
    port = free_ports(1)[0]
    server = pebble(port)
    store = make_store(drives=2, start=False)
    store.endpoint = f"https://127.0.0.1:{port}"
    domains = ["s3.coffer.test", "other.coffer.test"]
    store.flags += ["--acme-directory", server.directory, "--acme-ca", server.ca]
    store.flags += ["--acme-email", "someone@example.com"]
    for domain in domains:
        store.flags += ["--acme-domain", domain]
    store.start()
    root = server.root(folder / "root.pem")

    def trusted() -> bool:
        trust = ssl.create_default_context(cafile=root)
        try:
            for name in domains:
                with store.connect() as plain, trust.wrap_socket(plain, server_hostname=name):
                    pass
        except ssl.SSLCertVerificationError:
            return False
        return True

    until(trusted, timeout_s=60)
    first = shown(store)
    curl = ["--cacert", root, "--resolve", f"{domains[0]}:{port}:127.0.0.1"]
    curl += ["--silent", "--write-out", "%{http_code} %{http_version}", "--output", "/dev/null"]
    url = f"https://{domains[0]}:{port}/"
    said = programs.run([programs.find("curl"), *curl, url], clean_environment())
    assert said == "403 2"
    # No one who asks for the challenge's protocol gets anything now.
    with pytest.raises(ssl.SSLError):
        context = ssl.create_default_context(cafile=root)
        context.set_alpn_protocols(["acme-tls/1"])
        with store.connect() as plain:
            context.wrap_socket(plain, server_hostname=domains[0])
    # Kept: another start asks for nothing, and does not need the server.
    accounts = {(drive / "tls-acme-account.json").read_text() for drive in store.drives}
    assert len(accounts) == 1
    store.stop()
    server.stop()
    store.start()
    assert shown(store) == first
    assert store.status()["tls"]["refused"] is None
    store.stop()
    # A certificate whose time is mostly over is shown and renewed; a server that isn't there is
    # said, and asked again later.
    cert, key = folder / "old.pem", folder / "old.key"
    make_old_certificate(folder, cert, key, domains[0])
    kept = f"# for: {' '.join(domains)}\n{key.read_text()}{cert.read_text()}"
    for drive in store.drives:
        (drive / "tls-acme.pem").write_text(kept)
    size = store.log.stat().st_size
    store.start()
    assert shown(store) == der_of(cert)
    until(lambda: find_event(store.log, size, "certificate_refused"))
    assert shown(store) == der_of(cert)
    store.stop()
    again = pebble(port)
    store.flags[store.flags.index("--acme-directory") + 1] = again.directory
    store.flags[store.flags.index("--acme-ca") + 1] = again.ca
    root = again.root(folder / "root2.pem")
    store.start()
    until(trusted, timeout_s=60)
    assert len({(drive / "tls-acme.pem").read_text() for drive in store.drives}) == 1


def test_a_refused_challenge_is_told_with_its_reason(make_store, folder, pebble):
    server = pebble(free_ports(1)[0])  # where nobody listens
    store = make_store(start=False)
    store.flags += ["--acme-directory", server.directory, "--acme-ca", server.ca]
    store.flags += ["--acme-domain", "s3.coffer.test"]
    store.start()
    until(lambda: store.status()["tls"]["refused"], timeout_s=60)
    assert "s3.coffer.test" in store.status()["tls"]["refused"]
    # The self-signed one stands in.
    store.ca = store.drives[0] / "tls-self-signed.crt"
    assert raw.send(store, "GET", "/").status == 200
