"""Sends requests byte by byte, over connections that are kept."""

import re
import socket
from dataclasses import dataclass


@dataclass
class Reply:
    """What came back; status 0 when the server closed the connection without a word."""

    status: int
    headers: dict
    body: bytes

    @property
    def code(self) -> str:
        """The code of the error that the body tells, or nothing."""
        if self.status < 300 and b"<Error" not in self.body[:200]:
            return ""
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        return found[1].decode() if found else ""

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip()


class Wire:
    """A connection to the server under attack, made again when the server closed it."""

    def __init__(self, endpoint: str, timeout_s: float = 30):
        self.endpoint, self.timeout_s = endpoint, timeout_s
        host, port = endpoint.removeprefix("http://").rsplit(":", 1)
        self.address = (host, int(port))
        self.socket = self.reader = None

    def close(self):
        if self.socket:
            self.reader.close()
            self.socket.close()
        self.socket = self.reader = None

    def send(self, request) -> Reply:
        """Sends a `Request`; its reply."""
        return self.exchange(request.raw(), request.method)

    def alone(self, raw: bytes, method: str) -> Reply:
        """Sends bytes over a connection of their own, which may be left unanswered."""
        wire = Wire(self.endpoint, timeout_s=2)
        try:
            return wire.exchange(raw, method)
        finally:
            wire.close()

    def exchange(self, raw: bytes, method: str) -> Reply:
        """Sends bytes; the first final reply to them."""
        kept = self.socket is not None
        try:
            reply = self._try(raw, method)
        except OSError:
            self.close()
            if not kept:
                return Reply(0, {}, b"")
            reply = Reply(0, {}, b"")
        if reply.status == 0 and kept:
            # A kept connection may have been closed before this request; then it was not read.
            try:
                reply = self._try(raw, method)
            except OSError:
                self.close()
        return reply

    def _try(self, raw: bytes, method: str) -> Reply:
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=self.timeout_s)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.reader = self.socket.makefile("rb")
        try:
            self.socket.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the reply may be there all the same
        while True:
            reply = self._read(method)
            if not 100 <= reply.status < 200:
                break
        closing = reply.headers.get("connection", "").lower() == "close"
        if reply.status == 0 or closing or b" HTTP/1.0\r\n" in raw[:4096]:
            self.close()
        return reply

    def _read(self, method: str) -> Reply:
        line = self.reader.readline()
        if not line:
            return Reply(0, {}, b"")
        status = int(line.split()[1])
        headers = {}
        while line := self.reader.readline().strip():
            name, _, value = line.partition(b":")
            headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        if method == "HEAD" or status in (204, 304) or status < 200:
            return Reply(status, headers, b"")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.reader.readline().split(b";")[0], 16):
                body += self.reader.read(size)
                self.reader.readline()
            while self.reader.readline().strip():
                pass
            return Reply(status, headers, body)
        if "content-length" in headers:
            return Reply(status, headers, self.reader.read(int(headers["content-length"])))
        body = self.reader.read()
        self.close()
        return Reply(status, headers, body)
