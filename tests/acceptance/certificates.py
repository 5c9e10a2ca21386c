"""Certificates for flows over TLS, made by openssl: an authority of the tests, and who it vouches for."""

from __future__ import annotations

import hashlib
import re
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, and whom its holder trusts. Files in PEM."""

    certificate: Path
    key: Path
    ca: Path

    @property
    def fingerprint(self) -> str:
        """As `a=fingerprint` has it (RFC 8122 §5)."""
        text = _openssl("x509", "-in", str(self.certificate), "-noout", "-fingerprint", "-sha256")
        return f"sha-256 {text.strip().partition('=')[2]}"

    def context(self, *, server: bool, verify: bool = True) -> ssl.SSLContext:
        """TLS with this certificate; the other side has to show one of the same authority, unless told otherwise.
        Names are the caller's to check: SIP's are not those of the web (RFC 5922)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        return context

    def settings(self, *, verify_client: bool = False) -> dict[str, object]:
        """The table `[sip.tls]` of the gateway."""
        return {
            "certificate": str(self.certificate),
            "key": str(self.key),
            "ca": str(self.ca),
            "verify_client": verify_client,
        }


class Authority:
    """Issues certificates that last for a day."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        self._request(self._key, "-x509", "-days", "1", "-out", str(self._certificate), "-subj", f"/CN={name}")

    def issue(self, name: str, *names: str, trusts: Authority | None = None) -> Identity:
        """For these names: SIP URIs, or host names and addresses after `DNS:` or `IP:`. Its holder trusts us, or
        another authority."""
        certificate, key, request = (self._folder / f"{name}.{suffix}" for suffix in ("pem", "key", "csr"))
        alternatives = ",".join(one if re.match("(DNS|IP):", one) else f"URI:{one}" for one in names)
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\n")
        self._request(key, "-out", str(request), "-subj", f"/CN={name}")
        _openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self._certificate), "-CAkey", str(self._key),
            "-days", "1", "-out", str(certificate), "-extfile", str(extensions),
        )  # fmt: skip
        return Identity(certificate, key, (trusts or self)._certificate)

    @staticmethod
    def _request(key: Path, *arguments: str) -> None:
        _openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key), *arguments
        )  # fmt: skip


def fingerprint_of(certificate: bytes) -> str:
    """Of a certificate as TLS shows it, in the form of `a=fingerprint`."""
    digest = hashlib.sha256(certificate).hexdigest().upper()
    return "sha-256 " + ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def sip_domains(peer: ssl.SSLObject) -> list[str]:
    """The domains a peer's certificate is for: its `sip:` URIs (RFC 5922 §7.1)."""
    names = (peer.getpeercert() or {}).get("subjectAltName", ())
    return [value.removeprefix("sip:") for kind, value in names if kind == "URI" and value.startswith("sip:")]


def _openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
    return done.stdout
