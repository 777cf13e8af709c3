"""Certificates for tests, made with the openssl command: an authority, and what it signed."""

from __future__ import annotations

import shutil
import subprocess
import unittest
from pathlib import Path

_CONFIG = """
[ca]
default_ca = authority
[authority]
dir = .
new_certs_dir = .
database = index.txt
serial = serial.txt
certificate = authority.pem
private_key = authority.key
default_md = sha256
policy = any
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
[lax_authority_extensions]
basicConstraints = CA:TRUE
[lax_leaf_extensions]
subjectAltName = NAMES
[authority_extensions]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf_extensions]
basicConstraints = critical,CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = NAMES
"""
_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
PAST = ("20200101000000Z", "20200201000000Z")
FUTURE = ("20400101000000Z", "20400201000000Z")
NOW = ("20200101000000Z", "20491231000000Z")


class Authority:
    """An authority whose files live in a folder; `path` is its certificate.

    `is_lax`: its certificates lack what RFC 5280 demands and most programs do not need.
    """

    def __init__(self, folder: Path, name: str, *, is_lax: bool = False) -> None:
        self.kind = "lax_" if is_lax else ""
        self.folder = folder / name
        self.folder.mkdir()
        self.path = str(self.folder / "authority.pem")
        for file, text in (("index.txt", ""), ("serial.txt", "01\n")):
            (self.folder / file).write_text(text, encoding="ascii")
        made = f"-keyout authority.key -out authority.pem -days 99 -extensions {self.kind}authority_extensions"
        self._openssl(f"req -x509 -new {_KEY} -subj /CN={name} {made}", config=self._config("authority", "DNS:none"))

    def certificate(self, name: str, names: str, validity: tuple[str, str] = NOW) -> tuple[str, str]:
        """Returns the files of a certificate and its key; `names` is the subjectAltName, such as DNS:localhost."""
        config = self._config(name, names)
        start, end = validity
        self._openssl(f"req -new {_KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}", config=config)
        made = (
            f"-extensions {self.kind}leaf_extensions -in {name}.csr -out {name}.pem -startdate {start} -enddate {end}"
        )
        self._openssl(f"ca -batch -notext {made}", config=config)
        return str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")

    def self_signed(self) -> tuple[str, str]:
        """Returns the authority's own certificate and key, to be served as they should not be."""
        return self.path, str(self.folder / "authority.key")

    def _config(self, name: str, names: str) -> str:
        file = f"{name}.cnf"
        (self.folder / file).write_text(_CONFIG.replace("NAMES", names), encoding="ascii")
        return file

    def _openssl(self, words: str, config: str) -> None:
        openssl(f"{words} -config {config}", self.folder)


def openssl(words: str, folder: Path) -> str:
    """Returns what an openssl command prints."""
    command = shutil.which("openssl")
    if not command:
        raise unittest.SkipTest("there is no openssl command to make certificates with")
    done = subprocess.run([command, *words.split()], cwd=folder, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f"openssl {words}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode()
