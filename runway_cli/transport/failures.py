"""What can go wrong in an exchange, in words for a user."""

from __future__ import annotations

import http.client
import socket
import ssl
import sys

from ..errors import NetworkError
from .exchange import Ended, OutOfTime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .exchange import Exchange

# What an exchange raises when it fails. MemoryError and OverflowError: a Content-Length or a chunk claims more than
# there is memory for.
FAILURES = (OSError, http.client.HTTPException, ValueError, MemoryError, OverflowError, Ended)

# OpenSSL's verification results that are explained (x509_vfy.h)
_CERTIFICATE_FAULTS = {
    10: "its certificate has expired",
    9: "its certificate is not valid yet",
    18: "its certificate is self-signed",
    19: "its certificate chain ends in a self-signed one that is not trusted",
    20: "its certificate was issued by an authority that is not trusted",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}


def network_error(error: Exception, exchange: Exchange) -> NetworkError:
    """The failure as it is reported: may the request have been received, can another try help."""
    words = _words(error, exchange)
    # ValueError: a URL, a header or a certificate; each stays as it is
    is_permanent = not exchange.sent and isinstance(error, (ValueError, http.client.InvalidURL))
    message = f"{exchange.peer}: {words}" if exchange.peer else words
    return NetworkError(message, maybe_received=exchange.sent, permanent=is_permanent)


def _words(error: Exception, exchange: Exchange) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_words(error)
    if isinstance(error, OutOfTime):
        return f"{error}{'' if exchange.sent else ' (no connection)'}"
    if isinstance(error, Ended):
        return str(error)
    if isinstance(error, socket.gaierror):
        return f"the host name was not found ({error.strerror})"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut off" + (f", {error.expected} bytes are missing" if error.expected else "")
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or error.strerror or "no reason given"  # PyPy has no reason
        return f"TLS failed ({str(reason).replace('_', ' ').lower()})"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower().rstrip(".")
    if isinstance(error, (MemoryError, OverflowError)) and exchange.sent:
        return "the answer is larger than this machine's memory"
    if not exchange.sent:
        return f"the request cannot be sent ({str(error) or type(error).__name__})"
    return f"the answer is not HTTP ({str(error).strip() or type(error).__name__})"


def _certificate_words(error: ssl.SSLCertVerificationError) -> str:
    code: int = getattr(error, "verify_code", 0)
    message: str = getattr(error, "verify_message", None) or "the certificate was refused"
    fault = _CERTIFICATE_FAULTS.get(code)
    return f"not trusted, {f'{fault} ({message})' if fault else message}{_advice(code)}"


def _advice(code: int) -> str:
    if sys.platform == "darwin" and code in (19, 20):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f'; run "/Applications/Python {version}/Install Certificates.command" once'
    if code in (18, 19, 20):
        return "; SSL_CERT_FILE can name a file of further authorities"
    return ""
