"""An ACME server of this machine: Debian's pebble, with a name server that says 127.0.0.1."""

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

import programs


def free_ports(n: int) -> list:
    held = [socket.socket() for _ in range(n)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Pebble:
    """Looks for challenges at `tls_port`."""

    def __init__(self, folder: Path, tls_port: int):
        self.folder = folder
        folder.mkdir(parents=True)
        self.ca = folder / "ca.pem"
        self.log = folder / "pebble.log"
        self.processes = []
        acme, management, dns, dns_management = free_ports(4)
        self.directory = f"https://localhost:{acme}/dir"
        self.management = f"https://localhost:{management}"
        make_certificate(self.ca, folder / "key.pem", "localhost")
        config = {
            "listenAddress": f"127.0.0.1:{acme}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(self.ca),
            "privateKey": str(folder / "key.pem"),
            "httpPort": 1,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
        (folder / "config.json").write_text(json.dumps({"pebble": config}))
        environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "3"}
        with open(self.log, "ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [programs.find("pebble-challtestsrv"), "-defaultIPv4", "127.0.0.1",
                     "-defaultIPv6", "", "-dns01", f"127.0.0.1:{dns}", "-http01", "",
                     "-https01", "", "-tlsalpn01", "",
                     "-management", f"127.0.0.1:{dns_management}"],
                    stdout=log, stderr=log,
                )
            )
            self.processes.append(
                subprocess.Popen(
                    [programs.find("pebble"), "-config", folder / "config.json",
                     "-dnsserver", f"127.0.0.1:{dns}"],
                    stdout=log, stderr=log, env=environment,
                )
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                self.get(self.directory)
                return
            except OSError:
                assert all(p.poll() is None for p in self.processes), self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def get(self, url: str) -> bytes:
        trust = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(url, context=trust, timeout=10) as reply:
            return reply.read()

    def root(self, path: Path) -> Path:
        """Writes the root of what it signs."""
        path.write_bytes(self.get(f"{self.management}/roots/0"))
        return path

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def make_certificate(cert: Path, key: Path, *names: str, kind: str = "P-256", days: int = 2):
    """A self-signed certificate by openssl."""
    how = {
        "P-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "P-384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "RSA": ["rsa:2048"],
        "Ed25519": ["ed25519"],
    }[kind]
    subprocess.run(
        [programs.find("openssl"), "req", "-x509", "-newkey", *how, "-nodes", "-keyout", str(key),
         "-out", str(cert), "-days", str(days), "-subj", f"/CN={names[0]}",
         "-addext", "basicConstraints=critical,CA:FALSE",
         "-addext", "subjectAltName=IP:127.0.0.1," + ",".join(f"DNS:{name}" for name in names)],
        check=True, capture_output=True,
    )


def make_old_certificate(folder: Path, cert: Path, key: Path, name: str):
    """One that has been valid for years and is so for one more day."""
    request, database = folder / "old.csr", folder / "old"
    database.mkdir()
    (database / "index.txt").touch()
    (database / "serial").write_text("01")
    config = database / "ca.cnf"
    config.write_text(
        f"[ca]\ndefault_ca=d\n[d]\nnew_certs_dir={database}\ndatabase={database}/index.txt\n"
        f"serial={database}/serial\ndefault_md=sha256\npolicy=p\nx509_extensions=x\n"
        f"[p]\ncommonName=supplied\n[x]\nsubjectAltName=DNS:{name},IP:127.0.0.1\n"
    )
    openssl = programs.find("openssl")
    tomorrow = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 86_400))
    for command in (
        ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", request, "-subj", f"/CN={name}"],
        ["ca", "-batch", "-config", config, "-selfsign", "-keyfile", key, "-in", request,
         "-out", cert, "-startdate", "20200101000000Z", "-enddate", tomorrow, "-notext"],
    ):
        subprocess.run([openssl, *map(str, command)], check=True, capture_output=True)
