"""The page that asks a user whether an app may act for him, and the one that says why it cannot be asked. Pure."""

import hmac
from hashlib import sha256
from html import escape
from urllib.parse import urlsplit

import msgspec

from tidewire.wire.oauth import AuthorizeRequest, OAuthApp

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} - {site}</title><style>
body{{font:17px/1.5 system-ui,sans-serif;max-width:32rem;margin:12vh auto;padding:0 1rem;color:#123}}
button{{font:inherit;padding:.4em 1.4em;border:1px solid #1c58d9;border-radius:.3em;background:#fff;color:#1c58d9}}
button.yes{{background:#1c58d9;color:#fff}}
dt{{font-weight:600}}dd{{margin:0 0 .6em;overflow-wrap:anywhere}}</style></head>
<body><h1>{title}</h1>{body}</body></html>
"""
_QUESTION = """<p><b>{name}</b> wants to use your account <b>@{username}</b> on {site}: to read what you can read,
and to write in your name.</p><dl>{facts}</dl><form method="post" action="{action}">{fields}
<button class="yes" name="answer" value="allow">Allow</button>
<button name="answer" value="deny">Deny</button></form>"""
# Without form-action: browsers hold it against the redirect that answers the form too, and that leads to the app.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": _POLICY,
    # With no referrer at all, a form's Origin is "null".
    "Referrer-Policy": "same-origin",
}
KIND = "text/html; charset=utf-8"


def proof_of(csrf: str, request: AuthorizeRequest) -> str:
    """Return what shows that this session was asked exactly this. csrf: the session's secret."""
    return hmac.new(csrf.encode(), msgspec.json.encode(request), sha256).hexdigest()


def question(
    app: OAuthApp, request: AuthorizeRequest, *, username: str, csrf: str, action: str, site: str
) -> bytes:
    """Return the page that asks. action: where the answer goes, a path."""
    fields = {**msgspec.structs.asdict(request), "proof": proof_of(csrf, request)}
    inputs = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items()
    )
    facts = {"Description": app.description, "Home page": app.homepage}
    if app.is_dynamically_registered:
        facts["Careful"] = "This app has registered itself; nobody here has looked at it."
    facts["Then you go to"] = urlsplit(request.redirect_uri).netloc
    listed = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text)
    body = _QUESTION.format(
        name=escape(app.name), username=escape(username), site=escape(site), facts=listed, action=escape(action),
        fields=inputs,
    )  # fmt: skip
    return whole("Allow access?", body, site)


def refusal(text: str, site: str) -> bytes:
    """Return the page that says why nothing can be asked."""
    return whole("This does not work", f"<p>{escape(text)}</p>", site)


def whole(title: str, body: str, site: str) -> bytes:
    """Return a page. title, body: HTML; site: its name."""
    return _PAGE.format(title=title, body=body, site=escape(site)).encode()
