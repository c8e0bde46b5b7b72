"""Who else could write to PostgreSQL and Redis, by their URLs. Pure.

Both are believed: what stands in Redis is delivered to everybody, what stands in PostgreSQL is who somebody is. So they
are to be reached by a unix socket, which its file's permissions guard, or with a password, over a network by TLS.
"""

from ipaddress import ip_address
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from tidewire.settings.tree import Settings

_SEALED = frozenset({"require", "verify-ca", "verify-full"})  # sslmode of PostgreSQL; "prefer" gives way to who asks


def exposed(settings: Settings) -> list[str]:
    """Return a sentence, without secrets, for each way in which others may reach what we believe."""
    return [*_of_postgres(settings.database.url), *_of_redis(settings.redis.url)]


def _of_postgres(url: str) -> list[str]:
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    # user:password@one:5432,two:5432 and ?host=/run/postgresql are both allowed.
    named = options.get("host") or unquote(parts.netloc.rpartition("@")[2])
    hosts = [_host(one) for one in named.split(",") if one and not one.startswith("/")]
    if not hosts:
        return []
    found = []
    if not (parts.password or "password" in options or "sslcert" in options):
        found.append("the URL of PostgreSQL has no password: whoever reaches its port may be let in too")
    if not all(map(_is_here, hosts)) and options.get("sslmode") not in _SEALED:
        found.append("PostgreSQL is asked over the network without TLS: add sslmode=verify-full to its URL")
    return found


def _of_redis(url: str) -> list[str]:
    parts = urlsplit(url)
    if not url or parts.scheme == "unix":
        return []
    found = []
    if not parts.password:
        found.append("the URL of Redis has no password: whoever reaches its port can forge events; set one, or an ACL")
    if parts.scheme != "rediss" and not _is_here(parts.hostname or "localhost"):
        found.append("Redis is asked over the network without TLS: let its URL begin with rediss://")
    return found


def _host(text: str) -> str:
    """Return the host of host:port."""
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def name_of(database_url: str) -> str:
    """Return what a person may read of a database's address: which one, where, and never a password."""
    parts = urlsplit(database_url)
    # An @ further on, or a fragment: a password's own sign ended the host's part, and what follows is the password's.
    if parts.scheme not in ("postgresql", "postgres") or parts.fragment or "@" in parts.path + parts.query:
        return "the database"
    query = dict(parse_qsl(parts.query))
    where = parts.netloc.rpartition("@")[2] or query.get("host", "localhost")
    name = unquote(parts.path.lstrip("/")) or query.get("dbname", "")
    return f"the database {name} at {where}"
