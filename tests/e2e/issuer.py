"""A real OpenID Connect issuer on this machine: oidc-provider-mock (Authlib, Flask) behind TLS.

Its certificate is signed by an authority made for the test, so that the server under test knows it
by that authority's thumbprint and by nothing else.
"""

import datetime
import hashlib
import ipaddress
import json
import logging
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request

import oidc_provider_mock
import werkzeug.serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

REDIRECT = "https://client.example/back"


class _KeepRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Issuer:
    """Runs from its making to close()."""

    def __init__(self, folder):
        # Every request is logged at INFO otherwise.
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        chain, key, self.thumbprint = _certificates(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        app = oidc_provider_mock.app()
        self._server = werkzeug.serving.make_server(
            "127.0.0.1", 0, app, threaded=True, ssl_context=context
        )
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        trusting = ssl.create_default_context(cafile=str(chain))
        self._opener = urllib.request.build_opener(
            _KeepRedirects, urllib.request.HTTPSHandler(context=trusting)
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """As ARNs and condition keys have it."""
        return self.url.removeprefix("https://")

    def token(self, subject: str, client_id: str) -> str:
        """An ID token by the authorization code flow, as a person at a browser gets it."""
        query = urllib.parse.urlencode({
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": "openid",
        })
        form = urllib.parse.urlencode({"sub": subject}).encode()
        try:
            self._opener.open(f"{self.url}/oauth2/authorize?{query}", data=form, timeout=30)
            raise AssertionError("the issuer did not redirect")
        except urllib.error.HTTPError as answer:
            assert answer.code == 302, answer.read().decode()
            back = urllib.parse.urlparse(answer.headers["location"])
        code = urllib.parse.parse_qs(back.query)["code"][0]
        form = urllib.parse.urlencode({
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "client_id": client_id,
            "client_secret": "any",
        })
        with self._opener.open(f"{self.url}/oauth2/token", form.encode(), timeout=30) as answer:
            return json.load(answer)["id_token"]

    def close(self):
        self._server.shutdown()
        self._thread.join(30)
        self._server.server_close()


def _certificates(folder):
    """A chain (the server's certificate, then its authority's), its key, the thumbprint."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(name, key, signer_name, signer_key, extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(signer_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer_key, hashes.SHA256())

    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = certificate(
        named("An authority of tests"), authority_key, named("An authority of tests"),
        authority_key, [(x509.BasicConstraints(ca=True, path_length=0), True)],
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    own = certificate(
        named("An issuer of tests"), key, authority.subject, authority_key,
        [(names, False), (x509.BasicConstraints(ca=False, path_length=None), True)],
    )
    pem = serialization.Encoding.PEM
    chain, key_file = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(own.public_bytes(pem) + authority.public_bytes(pem))
    key_file.write_bytes(key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))
    der = authority.public_bytes(serialization.Encoding.DER)
    return chain, key_file, hashlib.sha1(der).hexdigest()
