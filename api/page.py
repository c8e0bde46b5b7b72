"""The page at `/`: what this is and how to log in with the apps. Replaced by a web client where one is configured."""

from html import escape

import falcon.asgi

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Tidewire</title>
<style>body{{font:17px/1.5 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1rem;color:#123}}
code{{background:#eef3f6;padding:.1em .35em;border-radius:.25em}}h1{{margin-bottom:0}}</style></head>
<body><h1>Tidewire</h1><p>This is a team chat server. It speaks the Mattermost API v4, so its apps work here.</p>
<ol><li>Install the Mattermost app for desktop, Android or iOS.</li>
<li>As server address enter <code>{origin}</code>, as name whatever you like.</li>
<li>Log in. On a new server the first account that is created becomes its administrator.</li></ol>
<p>Bots and scripts: any Mattermost driver, or <code>{origin}/api/v4</code> with <code>curl</code>.</p></body></html>
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"


def answer(req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
    """Answer GET and HEAD of any path that is not an API path."""
    if req.path == "/robots.txt":
        resp.content_type = "text/plain"
        resp.data = b"User-agent: *\nDisallow: /\n"
        return
    resp.content_type = "text/html; charset=utf-8"
    resp.set_header("Cache-Control", "no-cache, max-age=31556926, public")
    resp.set_header("X-Frame-Options", "SAMEORIGIN")
    resp.set_header("Content-Security-Policy", _POLICY)
    resp.data = _PAGE.format(origin=escape(req.prefix)).encode()
