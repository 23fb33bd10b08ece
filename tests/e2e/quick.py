"""A small signing client: a campaign starts hundreds of servers, and an SDK is slow to begin."""

import hashlib
import hmac
import http.client
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

from running import ACCESS_KEY, REGION, SECRET_KEY

UNSIGNED = "UNSIGNED-PAYLOAD"


def _digest(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Quick:
    """One connection to one server."""

    def __init__(self, endpoint: str, timeout_s: float = 60):
        self.host = endpoint.removeprefix("http://")
        self.connection = http.client.HTTPConnection(self.host, timeout=timeout_s)

    def close(self):
        self.connection.close()

    def send(self, method: str, path: str, query=(), body: bytes = b""):
        """Sends a request; status, headers and body of the answer."""
        path = urllib.parse.quote(path)
        query = "&".join(
            f"{urllib.parse.quote(k, safe='')}={urllib.parse.quote(v, safe='')}"
            for k, v in sorted(query)
        )
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
        names = "host;x-amz-content-sha256;x-amz-date"
        canonical = (
            f"{method}\n{path}\n{query}\nhost:{self.host}\n"
            f"x-amz-content-sha256:{UNSIGNED}\nx-amz-date:{stamp}\n\n{names}\n{UNSIGNED}"
        )
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{SECRET_KEY}".encode()
        for part in scope.split("/"):
            key = _digest(key, part)
        signature = _digest(key, text).hex()
        self.connection.request(
            method,
            path + (f"?{query}" if query else ""),
            body=body,
            headers={
                "x-amz-date": stamp,
                "x-amz-content-sha256": UNSIGNED,
                "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope},"
                f"SignedHeaders={names},Signature={signature}",
            },
        )
        reply = self.connection.getresponse()
        return reply.status, reply.headers, reply.read()

    def get(self, bucket: str, key: str):
        """Bytes and ETag, or nothing if there is no such key."""
        status, headers, body = self.send("GET", f"/{bucket}/{key}")
        if status == 404:
            return None
        assert status == 200, f"GET {key}: {status} {body[:300]}"
        return body, headers["ETag"]

    def put(self, bucket: str, key: str, body: bytes):
        status, _, reply = self.send("PUT", f"/{bucket}/{key}", body=body)
        assert status == 200, f"PUT {key}: {status} {reply[:300]}"

    def list(self, bucket: str):
        """Size and ETag by key, or nothing if there is no such bucket."""
        listed, after = {}, ""
        while True:
            query = [("list-type", "2"), ("max-keys", "50"), ("start-after", after)]
            status, _, body = self.send("GET", f"/{bucket}", query)
            if status == 404:
                return None
            assert status == 200, f"listing: {status} {body[:300]}"
            text = body.decode().replace(' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', "")
            root = ElementTree.fromstring(text)
            for entry in root.iter("Contents"):
                after = entry.findtext("Key")
                assert after not in listed, f"{after} is listed twice"
                listed[after] = (int(entry.findtext("Size")), entry.findtext("ETag"))
            if root.findtext("IsTruncated") != "true":
                return listed

    def uploads(self, bucket: str) -> list:
        """Key and id of each upload in progress."""
        status, _, body = self.send("GET", f"/{bucket}", [("uploads", "")])
        assert status == 200, f"listing uploads: {status} {body[:300]}"
        text = body.decode().replace(' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', "")
        return [
            (entry.findtext("Key"), entry.findtext("UploadId"))
            for entry in ElementTree.fromstring(text).iter("Upload")
        ]
