"""What each kind of e-mail says: subject, paragraphs, button, as Jinja templates of plain text. Pure functions.

The layouts (`mail_templates/layout.txt`, `.html`) put them together; the HTML one escapes whatever comes in.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined, Template


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of e-mail. link: a template below the site's address, "" for none."""

    subject: str
    paragraphs: tuple[str, ...]
    button: str = ""
    link: str = ""


# Links: Mattermost API v4, the pages of the web app that redeem a token.
KINDS = {
    "verify": Kind(
        "[{{ site_name }}] Confirm your e-mail address",
        ("This address was given for an account on {{ site_name }}. Confirm it within 24 hours.",
         "If this was not you, ignore this message."),
        "Confirm address",
        "/do_verify_email?token={{ token | urlencode }}&email={{ email | urlencode }}",
    ),
    "password_reset": Kind(
        "[{{ site_name }}] Reset your password",
        ("Somebody asked for a new password for your account on {{ site_name }}. The link works once, for 24 hours.",
         "If this was not you, ignore this message: nothing has changed."),
        "Choose a new password",
        "/reset_password_complete?token={{ token | urlencode }}",
    ),
    "invite": Kind(
        "[{{ site_name }}] {{ sender }} invited you to join {{ team_name }}",
        ("{{ sender }} invited you to join the team {{ team_name }} on {{ site_name }}.", "{{ message }}"),
        "Join",
        "/signup_user_complete/?d={{ data | urlencode }}&t={{ token | urlencode }}",
    ),
    "password_changed": Kind(
        "[{{ site_name }}] Your password has changed",
        ("The password of {{ username }} was changed ({{ method }}).",
         "If this was not you, tell your administrator at once."),
    ),
    "email_changed": Kind(
        "[{{ site_name }}] Your e-mail address has changed",
        ("The address of {{ username }} is now {{ new_email }}.",
         "If this was not you, tell your administrator at once."),
    ),
    "mfa_changed": Kind(
        "[{{ site_name }}] Multi-factor authentication was {{ 'switched on' if active else 'removed' }}",
        ("Multi-factor authentication was {{ 'switched on' if active else 'removed' }} for {{ username }}.",
         "If this was not you, tell your administrator at once."),
    ),
    "token_created": Kind(
        "[{{ site_name }}] A personal access token was made",
        ("A personal access token was made for {{ username }}. It gives access to the account without a password.",
         "If this was not you, tell your administrator at once."),
    ),
    "new_login": Kind(
        "[{{ site_name }}] New login from {{ device }}",
        ("{{ username }} has just logged in from {{ device }}, address {{ address }}.",
         "If this was not you, change your password and end your other sessions."),
    ),
    "test": Kind(
        "[{{ site_name }}] Test message",
        ("This message shows that {{ site_name }} can send e-mail.",),
    ),
}  # fmt: skip


class Rendered(NamedTuple):
    """A message without its addresses; subject is one line."""

    subject: str
    plain: str
    html: str


@cache
def _layout(name: str) -> Template:
    source = files("tidewire.actions").joinpath("mail_templates", name).read_text()
    environment = Environment(
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.from_string(source)


@cache
def _text(source: str) -> Template:
    # Plain text, not HTML: the layout escapes the outcome, so that each value is escaped once.
    return Environment(autoescape=False, undefined=StrictUndefined).from_string(source)  # noqa: S701


def render(kind: str, site_name: str, site_url: str, values: dict[str, object]) -> Rendered:
    """Return a message of a kind; values are what its texts name.

    Raises: KeyError for an unknown kind, jinja2.UndefinedError for a missing value.
    """
    texts = KINDS[kind]
    values = {"site_name": site_name, **values}
    # A line break in a name would begin another header.
    subject = " ".join(_text(texts.subject).render(values).split())
    paragraphs = [line for text in texts.paragraphs if (line := _text(text).render(values).strip())]
    context = {
        "title": subject.partition("] ")[2] or subject,
        "paragraphs": paragraphs,
        "button": texts.button,
        "link": site_url + _text(texts.link).render(values) if texts.link else "",
        "site_name": site_name,
        "site_url": site_url,
    }
    plain, html = (_layout(name).render(context) for name in ("layout.txt", "layout.html"))
    return Rendered(subject, plain, html)
