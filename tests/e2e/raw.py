"""Requests that no SDK would send: signed here, header by header."""

import base64
import hashlib
import http.client
import ssl
import xml.etree.ElementTree as ElementTree
import zlib
from dataclasses import dataclass

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from running import ACCESS_KEY, REGION, SECRET_KEY, Store, host_of


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict
    body: bytes

    @property
    def xml(self) -> ElementTree.Element:
        """The body without its namespace."""
        text = self.body.decode().replace(' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', "")
        return ElementTree.fromstring(text)

    @property
    def code(self) -> str:
        """The error's code, or nothing."""
        return self.xml.findtext("Code") if self.status >= 300 and self.body else ""


def send(store: Store, method: str, path: str, query="", headers=None, body=b"") -> Reply:
    """Sends one signed request; `path` and `query` are encoded already."""
    url = store.endpoint + path + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    signer = S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION)
    if payload := request.headers.get("X-Amz-Content-SHA256"):
        signer.payload = lambda _: payload  # what the caller says, not the digest of the body
    signer.add_auth(request)
    return _send(store, request, body)


def send_presigned(store: Store, method: str, path: str, query: str, body=b"") -> Reply:
    """Sends one request whose signature is in its query."""
    request = AWSRequest(method=method, url=f"{store.endpoint}{path}?{query}", headers={})
    credentials = Credentials(ACCESS_KEY, SECRET_KEY)
    S3SigV4QueryAuth(credentials, "s3", REGION, expires=60).add_auth(request)
    return _send(store, request, body)


def _send(store: Store, request: AWSRequest, body: bytes) -> Reply:
    method, url = request.method, request.url
    host = host_of(store.endpoint)
    if store.ca:
        trust = ssl.create_default_context(cafile=store.ca)
        connection = http.client.HTTPSConnection(host, timeout=60, context=trust)
    else:
        connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.putrequest(method, url.removeprefix(store.endpoint), skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        if "Content-Length" not in request.headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        reply = connection.getresponse()
        names = {name.lower(): value for name, value in reply.getheaders()}
        return Reply(reply.status, names, reply.read())
    finally:
        connection.close()


def base64_of(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def reflected_crc(data: bytes, polynomial: int, bits: int) -> bytes:
    """A CRC with reflected bits, all ones before and after; for small data."""
    ones = (1 << bits) - 1
    crc = ones
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
    return (crc ^ ones).to_bytes(bits // 8, "big")


#: The checksums of S3, each computed apart from the server's code.
CHECKSUMS = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: reflected_crc(data, 0x82F63B78, 32),
    "CRC64NVME": lambda data: reflected_crc(data, 0x9A6C9329AC4BC9B5, 64),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def checksum(algorithm: str, data: bytes) -> str:
    return base64_of(CHECKSUMS[algorithm](data))
