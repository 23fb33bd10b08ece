"""A request as it goes over the wire."""

import shlex
from dataclasses import dataclass, field, replace
from urllib.parse import quote

#: What a client needs no escapes for in a path.
PATH_SAFE = "/-._~"


@dataclass(frozen=True)
class Request:
    """One request; `path` and `query` are encoded already, and nothing is added to the headers."""

    method: str
    path: str
    query: str = ""
    headers: tuple = field(default_factory=tuple)
    body: bytes = b""
    version: str = "HTTP/1.1"

    @property
    def target(self) -> str:
        return self.path + ("?" + self.query if self.query else "")

    def header(self, name: str):
        """The first value of the header, or None."""
        for known, value in self.headers:
            if known.lower() == name.lower():
                return value
        return None

    def having(self, *headers) -> "Request":
        """With these headers instead of others of their names."""
        names = {name.lower() for name, _ in headers}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in names)
        return replace(self, headers=kept + tuple(headers))

    def adding(self, *headers) -> "Request":
        """With these headers besides those that are there."""
        return replace(self, headers=self.headers + tuple(headers))

    def without(self, *names) -> "Request":
        """Without the headers of these names."""
        gone = {name.lower() for name in names}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in gone)
        return replace(self, headers=kept)

    def asking(self, *pairs) -> "Request":
        """With more in the query."""
        more = "&".join(f"{encode(name)}={encode(value)}" for name, value in pairs)
        return replace(self, query="&".join(part for part in (self.query, more) if part))

    def raw(self) -> bytes:
        lines = [f"{self.method} {self.target} {self.version}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        framed = self.header("content-length") or self.header("transfer-encoding")
        if not framed and (self.body or self.method in ("PUT", "POST")):
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body

    def curl(self, endpoint: str) -> str:
        """A shell command that sends the same."""
        parts = ["curl", "-sS", "-i", "--path-as-is", "-X", self.method]
        if self.method == "HEAD":
            parts = ["curl", "-sS", "-I", "--path-as-is"]
        if self.version == "HTTP/1.0":
            parts.append("--http1.0")
        for name, value in self.headers:
            parts += ["-H", f"{name}: {value}" if value else f"{name};"]
        if self.body:
            text = self.body.decode("latin-1")
            if all(31 < ord(c) < 127 for c in text):
                parts += ["--data-binary", text]
            else:
                escaped = "".join(f"\\x{byte:02x}" for byte in self.body[:2000])
                return f"printf '{escaped}' | {shlex.join(parts)} --data-binary @- " + shlex.quote(
                    endpoint + self.target
                )
        return shlex.join([*parts, endpoint + self.target])


def encode(text: str) -> str:
    """A name or value of a query, as Signature Version 4 has it."""
    return quote(text, safe="-._~")


def encode_path(text: str) -> str:
    return quote(text, safe=PATH_SAFE)
