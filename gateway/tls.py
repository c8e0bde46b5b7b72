"""TLS as the gateway speaks it: which versions and ciphers, and the certificate. No sockets.

1.2 and 1.3 only, forward secrecy and authenticated encryption only: Mozilla's "intermediate", RFC 9325.
"""

import ssl

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of 1.2; those of 1.3 are all good


class BadCertificate(Exception):
    """The certificate or its key can't be used; the text says which file and why, in one line."""


def server_context(cert: str, key: str) -> ssl.SSLContext:
    """Return what a listening socket needs. cert, key: PEM files, the certificate with its chain.

    Raises: BadCertificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # A client could ask for new keys, which are dear, as often as it likes (CVE-2011-1473).
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password="")  # else OpenSSL would ask at the terminal
    except ssl.SSLError as error:
        raise BadCertificate(f"{cert} and {key} are no certificate and its key: {error.reason or error}") from error
    except OSError as error:
        raise BadCertificate(f"cannot read {cert} or {key}: {error.strerror}") from error
    return context
