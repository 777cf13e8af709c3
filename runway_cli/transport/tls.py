"""TLS: the authorities that are trusted, the socket, and its failures in words for a user.

A Python that was built without OpenSSL cannot import this module.
"""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import contextmanager

from ..errors import ConfigError
from ..settings import setting
from .sockets import BoundedSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN, which `ssl` names from Python 3.10 on
UNKNOWN_AUTHORITY = (18, 19, 20, 21)  # OpenSSL's verification results that SSL_CERT_FILE can help with (x509_vfy.h)


class SecureSocket(BoundedSocket, ssl.SSLSocket):
    """A bounded connection over TLS, which a peer has to close in order: anyone can cut it off."""

    def do_handshake(self, block: bool = False) -> None:
        self._in_slices(super().do_handshake)

    def recv_into(self, *args: Any, **options: Any) -> int:
        with _end_as_reset():
            return super().recv_into(*args, **options)

    def send(self, *args: Any, **options: Any) -> int:
        with _end_as_reset():
            return super().send(*args, **options)


@contextmanager
def _end_as_reset() -> Iterator[None]:
    """Raises the end of a connection that its peer did not announce (close_notify) as the OSError that it is."""
    try:
        yield
    except ssl.SSLError as error:
        if not isinstance(error, ssl.SSLEOFError) and error.reason != "UNEXPECTED_EOF_WHILE_READING":  # Python 3.9
            raise
        raise ConnectionResetError("the connection was cut off") from None


def new_context() -> ssl.SSLContext:
    """Returns what TLS trusts: the system's authorities, or what SSL_CERT_FILE and SSL_CERT_DIR name.

    Raises ConfigError where these name no certificates.

    This is not `ssl.create_default_context`: from Python 3.13 on it refuses authorities that curl, Node and earlier
    versions accept (VERIFY_X509_STRICT), and it fails where SSLKEYLOGFILE cannot be written.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= PARTIAL_CHAIN
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # which Python sets: see SecureSocket
    context.sslsocket_class = SecureSocket
    if sys.platform == "win32":
        context.load_default_certs()  # those of the system's store
    # OpenSSL itself would ignore what a variable names in vain, take an empty one as a name, and wait for a FIFO.
    file, folders = setting("SSL_CERT_FILE"), setting("SSL_CERT_DIR")
    system = ssl.get_default_verify_paths()
    try:
        if file and not os.path.isfile(file):
            raise FileNotFoundError
        context.load_verify_locations(cafile=file or system.openssl_cafile)
    except OSError:  # an SSLError is one too
        if file:
            raise _useless("SSL_CERT_FILE", file, "is not a readable file of certificates in PEM form") from None
    context.load_verify_locations(capath=folders or system.openssl_capath)
    if folders and not file:
        from glob import escape, glob

        if not any(glob(os.path.join(escape(path), "????????.[0-9]*")) for path in folders.split(os.pathsep)):
            fault = "is not a folder of certificates named by their hash (openssl rehash)"
            raise _useless("SSL_CERT_DIR", folders, fault)
    return context


def _useless(variable: str, path: str, fault: str) -> ConfigError:
    return ConfigError(f"{variable} names no certificates: {path!r} {fault}. Correct or unset it", variable=variable)


def words(error: OSError) -> str:
    """Returns what an SSLError means, in words for a user, and what may help."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = getattr(error, "reason", None) or error.strerror or "no reason given"  # PyPy has no reason
        return f"TLS failed ({str(reason).replace('_', ' ').lower()})"
    found = f"its certificate is not trusted ({error.verify_message.rstrip('.')})"
    if error.verify_code not in UNKNOWN_AUTHORITY:
        return found
    if sys.platform == "darwin":
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f'{found}; run "/Applications/Python {version}/Install Certificates.command" once'
    return f"{found}; SSL_CERT_FILE can name a file of further authorities"
