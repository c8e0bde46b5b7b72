"""Where a body ends, if two servers may see that differently. Knows no routes.

The HTTP server below refuses most of what is ambiguous: a length beside chunks, two lengths, codings other than
chunked. It takes "chunked" twice, and behind "identity".
"""

import falcon.asgi


def is_plain(req: falcon.asgi.Request) -> bool:
    """Return whether a request's transfer coding is none or "chunked" once. Source: RFC 9112 6.1: once, and last."""
    coding = req.get_header("Transfer-Encoding")
    return coding is None or coding.lower() == "chunked"
