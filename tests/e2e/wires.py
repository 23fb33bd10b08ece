"""The same signed requests over HTTP/1.1 in the clear, HTTP/1.1 over TLS, and HTTP/2 over TLS."""

import subprocess

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import programs
import raw
from running import ACCESS_KEY, REGION, SECRET_KEY


def http1(store, method, path, query="", headers=None, body=b"") -> raw.Reply:
    """By Python's own client, in the clear or over TLS as the store speaks."""
    return raw.send(store, method, path, query, headers, body)


def http2(store, method, path, query="", headers=None, body=b"") -> raw.Reply:
    """By curl, which must have spoken HTTP/2."""
    url = store.endpoint + path + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION).add_auth(request)
    command = [programs.find("curl"), "--silent", "--show-error", "--max-time", "60"]
    if store.ca:
        command += ["--http2", "--cacert", store.ca]
    else:
        command += ["--http2-prior-knowledge"]
    command += ["--path-as-is", "--header", "Accept:"]
    for name, value in request.headers.items():
        command += ["--header", f"{name}: {value}"]
    if method == "HEAD":
        command += ["--head"]
    else:
        command += ["--request", method, "--dump-header", "-"]
        if body:
            # Else curl says that it is a form.
            command += ["--data-binary", "@-"]
            if "Content-Type" not in request.headers:
                command += ["--header", "Content-Type:"]
    done = subprocess.run([str(p) for p in [*command, url]], input=body, capture_output=True)
    assert done.returncode == 0, f"curl: {done.returncode} {done.stderr.decode(errors='replace')}"
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    protocol, status = lines[0].split()[:2]
    assert protocol == "HTTP/2", f"it spoke {protocol}"
    names = {}
    for line in lines[1:]:
        name, value = line.split(":", 1)
        names[name.lower()] = value.strip()
    return raw.Reply(int(status), names, rest)
