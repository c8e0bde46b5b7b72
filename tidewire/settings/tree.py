"""The settings tree: type, default, limits, unit and one sentence for each field. No I/O.

Units stand in the names (`_s`, `_ms`, `_bytes`, `_hours`); other numbers are counts. A field's environment variable
is TIDEWIRE_<SECTION>_<FIELD>; its place in the TOML file is [section] field. Plain dataclasses, for every process
holds them; `reading` makes them of what people wrote and holds the limits.
"""

from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

Words = tuple[str, ...]


def _knob(
    default: object,
    text: str,
    *,
    secret: bool = False,
    each: Callable[[str], object] = str,
    **limits: float,
) -> Any:
    """Return a field. secret: its value is hidden wherever settings are shown. each: raises ValueError for a bad word.

    limits: ge, gt, le, of a number.
    """
    metadata = {"text": text, "secret": secret, "each": each, "limits": limits}
    return field(default=default, repr=not secret, metadata=metadata)


def _network(word: str) -> None:
    ip_network(word, strict=False)


class Section:
    """Frozen; made by keyword, which checks relations between fields but neither types nor limits."""

    given: frozenset[str] = frozenset()  # the fields that were set, by whatever source; not a field itself

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    if TYPE_CHECKING:  # type checkers do not see what dataclass() adds

        def __init__(self, **fields: Any) -> None: ...

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise ValueError where fields do not fit each other."""


def knobs(section: type[Section]) -> dict[str, Field[Any]]:
    """Return the fields of a section, or the sections of Settings, by name."""
    return {knob.name: knob for knob in fields(section)}  # type: ignore[arg-type]  # each subclass is a dataclass


class Site(Section):
    """What users see of the installation."""

    url: str = _knob("", "Public address, such as https://chat.example.org; empty: taken from each request.")
    name: str = _knob("Tidewire", "Name that the apps show.")
    restrict_admin: bool = _knob(
        False, "Administrators of the chat cannot change what concerns the server itself; true: only who starts it can."
    )


class Serve(Section):
    """The one-command run, `tidewire serve`; its flags of the same names win."""

    data_dir: str = _knob(
        "",
        "Where everything is kept; empty: /var/lib/tidewire for root, else tidewire in the user's data home.",
    )
    host: str = _knob(
        "localhost", "Address to listen on; localhost: this machine only; 0.0.0.0 or ::: every address."
    )
    port: int = _knob(8065, "Port for HTTP, files, the web page and WebSockets.", ge=1, le=65535)
    gateways: int = _knob(1, "Gateway processes.", ge=1, le=64)
    api_workers: int = _knob(1, "API worker processes.", ge=1, le=64)
    tls_cert: str = _knob("", "Certificate file (PEM, with its chain) for https and wss.")
    tls_key: str = _knob("", "Key file (PEM) of the certificate.")
    domain: str = _knob("", "Domain name for automatic HTTPS on ports 443 and 80.")
    postgres: str = _knob("", "Folder with postgres and initdb; empty: look for one.")
    valkey: str = _knob("", "Path of valkey-server or redis-server; empty: look for one.")
    caddy: str = _knob("", "Path of caddy; empty: look for one.")

    def check(self) -> None:
        """TLS's two files together, and not beside a domain."""
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key go together")
        if self.domain and self.tls_cert:
            raise ValueError("domain gets its own certificate: give domain or tls_cert and tls_key, not both")


class Database(Section):
    """PostgreSQL 15 or later."""

    url: str = _knob(
        "", "postgresql://user:password@host/database; under serve empty: an embedded one.", secret=True
    )
    connections: int = _knob(8, "Connections per API worker.", ge=2, le=200)
    secrets_key: str = _knob(
        "",
        "Seals second factors and waiting e-mail, at least 32 characters, the same on all nodes; empty: a key that is"
        " made at the first start and kept in the database.",
        secret=True,
    )

    def check(self) -> None:
        """Refuse a key that can be guessed, and an address whose password would be taken for its host or port."""
        if 0 < len(self.secrets_key) < 32:
            raise ValueError("secrets_key must have at least 32 characters")
        try:
            parts = urlsplit(self.url)
        except ValueError:  # its text may show the password
            raise ValueError("url cannot be read as an address") from None
        if "@" not in parts.netloc and "@" in parts.path + parts.query + parts.fragment:
            raise ValueError("url must have / ? # of a user or password as %2F %3F %23")


class Redis(Section):
    """Redis 7 or Valkey."""

    url: str = _knob(
        "", "redis://…, rediss://… or unix:///path; under serve empty: an embedded one.", secret=True
    )


class Api(Section):
    """The HTTPS side."""

    host: str = _knob("127.0.0.1", "Address to listen on.")
    port: int = _knob(8071, "Port to listen on.", ge=1, le=65535)
    uds: str = _knob("", "Unix socket to listen on instead of host and port.")
    workers: int = _knob(1, "Worker processes.", ge=1, le=64)
    body_limit_bytes: int = _knob(300_000, "Largest request body; above it 413.", ge=1024)
    backlog: int = _knob(4096, "Connections that may wait or stay open per worker.", ge=128)
    stop_s: int = _knob(8, "How long a worker may take to end, requests under way included.", ge=3, le=600)


class Gateway(Section):
    """The WebSocket side."""

    host: str = _knob("127.0.0.1", "Address to listen on.")
    port: int = _knob(8072, "Port to listen on.", ge=0, le=65535)
    reuse_port: bool = _knob(
        False, "Let several gateways share one port, where no balancer stands before them."
    )
    tls_cert: str = _knob(
        "",
        "Certificate file (PEM, with its chain): speak TLS, where no balancer does. Read anew on SIGHUP.",
    )
    tls_key: str = _knob("", "Key file (PEM) of the certificate.")
    max_connections: int = _knob(0, "Most sockets of one process; 0: as many as descriptors allow.", ge=0)
    connections_per_user: int = _knob(100, "Most sockets of one user in one process.", ge=1)
    connections_per_address: int = _knob(
        0, "Most sockets from one address in one process; 0: no limit.", ge=0
    )
    unauthenticated: int = _knob(2000, "Most sockets of one process that have not logged in yet.", ge=1)
    unauthenticated_per_address: int = _knob(
        500, "Most sockets from one address that were opened without a valid login and have not sent one yet.", ge=1
    )
    allowed_origins: Words = _knob((), "Origins of browsers to accept besides the site's own; *: any.")
    auth_timeout_s: float = _knob(5.0, "Time to log in after the upgrade.", gt=0)
    login_wait_s: float = _knob(5.0, "Time that a login waits for a database that does not answer.", gt=0)
    ping_interval_s: float = _knob(60.0, "A socket that was silent this long gets a ping.", gt=0)
    read_timeout_s: float = _knob(100.0, "A socket that was silent this long is closed.", gt=0)
    max_message_bytes: int = _knob(8192, "Largest message a client may send.", ge=125)
    max_fragments: int = _knob(64, "Most fragments of one message.", ge=1)
    compression: bool = _knob(
        False, "Send larger events compressed to clients that offer it; fewer bytes, a little more CPU."
    )
    io_uring: bool = _knob(
        True, "Hand the kernel sends in batches (io_uring) where it permits; an eighth less CPU per delivery."
    )
    client_rate: float = _knob(50.0, "Actions per second that one socket may send in the long run.", gt=0)
    client_burst: int = _knob(200, "Actions that one socket may send at once.", ge=1)
    drain_s: float = _knob(
        10.0, "After SIGTERM: how long other gateways may fetch what clients need to go on there.", ge=0
    )
    drain_notice_s: float = _knob(
        3.0, "After SIGTERM: how long balancers may take to notice, by health checks; not under serve.", ge=0
    )
    listen_fd: int = _knob(-1, "Descriptor of a bound socket to listen on instead; serve sets it.", ge=-1)
    ready_fd: int = _knob(-1, "Descriptor that is written to once the gateway listens; serve sets it.", ge=-1)

    def check(self) -> None:
        """Ping before time-out, TLS's two files together."""
        if self.read_timeout_s <= self.ping_interval_s:
            raise ValueError("read_timeout_s must be above ping_interval_s")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key go together")


class Outbox(Section):
    """What waits for one socket."""

    close_at: int = _knob(256, "Waiting events at which a slow socket is closed (1013).", ge=8)


class Resume(Section):
    """What a gateway keeps for clients that come back."""

    bytes: int = _knob(256 << 20, "Budget of one gateway for all retained events.", ge=1 << 20)
    keep_s: float = _knob(300.0, "How long a lost connection can be resumed.", ge=0)
    events: int = _knob(128, "Events kept for each connection while the budget allows.", ge=1)
    handover_ms: int = _knob(
        200, "How long the gateway that has a connection may take to hand it over; 0: never asked.", ge=0
    )
    handover_bytes: int = _knob(1 << 20, "Largest state that is handed over.", ge=1024)


class Bus(Section):
    """Events between processes."""

    shards: int = _knob(1, "Event streams; every process must have the same number.", ge=1, le=64)
    outbox_retention_s: float = _knob(
        60.0, "How long published outbox rows stay; above what a failover may lose.", ge=5
    )
    stream_retention_s: float = _knob(180.0, "How long events stay in Redis.", ge=10)
    hold_ms: int = _knob(1000, "How long an event that is ahead waits for the missing one.", ge=10)
    replicas: int = _knob(0, "Replicas that must hold an event before it counts as published (WAIT).", ge=0)

    def check(self) -> None:
        """Streams outlive the outbox."""
        if self.stream_retention_s < self.outbox_retention_s:
            raise ValueError("stream_retention_s must not be below outbox_retention_s")


class Presence(Section):
    """Who is online."""

    heartbeat_s: float = _knob(5.0, "Interval at which a gateway says that it lives.", gt=0)
    away_after_s: float = _knob(
        300.0, "Time without activity after which a user is away; given, it wins over UserStatusAwayTimeout.", gt=0
    )


class Typing(Section):
    """ "… is typing"."""

    min_interval_ms: int = _knob(
        1000, "One user's typing in one place is passed on at most this often.", ge=0
    )
    per_channel: int = _knob(20, "Typists of one channel that are passed on per interval.", ge=1)


class Session(Section):
    """Logins."""

    length_hours: int = _knob(720, "Life of a login.", ge=1)


class Users(Section):
    """Accounts."""

    open_signup: bool = _knob(True, "Anybody may make an account; false: admins only.")
    show_email: bool = _knob(True, "Users see each other's e-mail addresses.")
    show_full_name: bool = _knob(True, "Users see each other's first and last names.")
    mail_logins: bool = _knob(False, "Mail a user about each login, where e-mail is set up.")


class Teams(Section):
    """Teams."""

    max_channels: int = _knob(2000, "Most live public and private channels of one team.", ge=2)


class Limits(Section):
    """Against guessing and floods."""

    login_attempts: int = _knob(10, "Failed logins in a row after which an account waits; 0: no limit.", ge=0)
    audit_days: int = _knob(90, "How long the audit log keeps what was done.", ge=1)
    logins_per_minute: int = _knob(60, "Failed logins per minute from one address; 0: no limit.", ge=0)


class Files(Section):
    """What people upload. What is not given here is a matter of the configuration, FileSettings."""

    directory: str = _knob(
        "", "Folder for files, and for what is being received; empty: files in the data directory of serve."
    )
    driver: Literal["local", "amazons3"] = _knob("local", "Where files are kept: in the folder (local) or in S3.")
    s3_bucket: str = _knob("", "Bucket.")
    s3_endpoint: str = _knob("", "Host and port of another S3 than Amazon's.")
    s3_region: str = _knob("", "Region; empty: us-east-1.")
    s3_prefix: str = _knob("", "What the names of all objects begin with.")
    s3_access_key: str = _knob("", "Access key id; empty: what the machine's environment or role gives.", secret=True)
    s3_secret_key: str = _knob("", "Secret access key.", secret=True)
    s3_tls: bool = _knob(True, "Speak https with the endpoint.")


class Web(Section):
    """The web page."""

    directory: str = _knob(
        "", "Folder with a built web client (root.html and its files), served at /; empty: a small page instead."
    )


class Search(Section):
    """Full text of posts and files."""

    language: str = _knob(
        "english", "Text search configuration of PostgreSQL; simple: words as they are. A change makes the index anew."
    )


class Push(Section):
    """Pushes to phones and browsers: the queue's consumers, and the push proxy, `tidewire push`."""

    host: str = _knob("127.0.0.1", "Address that the push proxy listens on.")
    port: int = _knob(8066, "Port that the push proxy listens on.", ge=1, le=65535)
    workers: int = _knob(1, "Worker processes, each with connections of its own.", ge=1, le=64)
    tls_cert: str = _knob("", "Certificate file (PEM, with its chain): speak TLS, where no balancer does.")
    tls_key: str = _knob("", "Key file (PEM, PKCS 8) of the certificate.")
    secret: str = _knob(
        "", "What callers must send as X-Mattermost-Auth; sent along to proxy_url, too; empty: nothing.", secret=True
    )
    mattermost_config: str = _knob(
        "", "Configuration file of Mattermost's push proxy (JSON): its app builds; other settings here win over it."
    )
    proxy_url: str = _knob("", "Address of another push proxy, which sends what has no app build here.")
    vapid_key: str = _knob("", "P-256 key file (PEM) that identifies this server to browsers' push services.")
    vapid_subject: str = _knob("", "mailto: or https: address of who runs this server, for push services.")
    webpush_allowed: Words = _knob(
        (), "host:port of push services that may be on private addresses and other ports than 443."
    )
    ca_file: str = _knob("", "Authorities (PEM) that providers' certificates may be signed by, besides the usual.")
    apns_url: str = _knob("", "Address to use instead of Apple's.")
    fcm_url: str = _knob("", "Address to use instead of Google's.")
    apple_background: bool = _knob(
        False, "Send clear and test as Apple's background pushes of low priority; false: as Mattermost's proxy does."
    )
    connections: int = _knob(2, "Connections of one worker to one provider.", ge=1, le=16)
    in_flight: int = _knob(500, "Pushes of one target that one worker has under way.", ge=1, le=10_000)
    attempt_timeout_s: float = _knob(8.0, "Deadline of one attempt at a provider.", gt=0, le=60)
    answer_wait_s: float = _knob(
        10.0, "How long a caller of the proxy waits for the provider's verdict; then OK: it is queued.", gt=0, le=25
    )
    message_age_s: float = _knob(3600.0, "Age at which a message is no longer tried, but a dead letter.", gt=0)
    silent_age_s: float = _knob(300.0, "Age at which a badge or a cleared notification is dropped.", gt=0)
    queue_limit: int = _knob(1_000_000, "Pushes of one target that may wait; above it 503.", ge=1)
    replicas: int = _knob(0, "Replicas of Redis that must hold a push before it counts as accepted (WAIT).", ge=0)
    claim_after_s: float = _knob(45.0, "Age at which what a dead worker had under way is taken over.", gt=0)
    drain_s: float = _knob(10.0, "After SIGTERM: how long attempts may take to end.", ge=0)
    throttle_per_s: int = _knob(10_000, "Requests per second of one caller in the long run; 0: no limit.", ge=0)
    throttle_burst: int = _knob(20_000, "Requests of one caller at once besides.", ge=0)
    throttle_headers: Words = _knob((), "Headers that tell callers apart; empty: their addresses do.")
    throttle_callers: int = _knob(50_000, "Callers that are remembered.", ge=1)
    metrics: bool = _knob(False, "Answer /metrics on the proxy's own port.")
    body_limit_bytes: int = _knob(65_536, "Largest request body of the proxy.", ge=1024)
    ready_fd: int = _knob(-1, "Descriptor that is written to once the push worker works; serve sets it.", ge=-1)
    figures_dir: str = _knob("", "Folder where the proxy's workers find each other's figures; it sets it itself.")

    def check(self) -> None:
        """TLS's and VAPID's two together; a running attempt is never taken over."""
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key go together")
        if bool(self.vapid_key) != bool(self.vapid_subject):
            raise ValueError("vapid_key and vapid_subject go together")
        # Another proxy may take 20 s; and 5 more until the end of an attempt is written down.
        if self.claim_after_s < max(self.attempt_timeout_s, 20.0 if self.proxy_url else 0.0) + 5:
            raise ValueError("claim_after_s must be at least 5 above attempt_timeout_s, 25 with proxy_url")


class Metrics(Section):
    """Prometheus. Never on the public origin."""

    host: str = _knob("127.0.0.1", "Address to listen on.")
    port: int = _knob(
        0, "Port; 0: none, under serve 8067 if free. Further API workers take the next ports.", ge=0, le=65535
    )
    dir: str = _knob(
        "", "Folder for one unix socket per process, where a collector gathers them (serve does)."
    )


class Log(Section):
    """Logs go to standard error."""

    level: Literal["debug", "info", "warning", "error"] = _knob("info", "Least severity that is written.")
    format: Literal["auto", "json", "console"] = _knob("auto", "auto: console on a terminal, else json.")
    requests: bool = _knob(False, "Write one line for each API request.")


class Proxies(Section):
    """Who may say where a request came from."""

    trusted: Words = _knob(
        (), "Networks of balancers whose X-Forwarded-For is believed; a unix socket's peer always is.", each=_network
    )


class Settings(Section):
    """Everything."""

    site: Site = Site()
    serve: Serve = Serve()
    database: Database = Database()
    redis: Redis = Redis()
    api: Api = Api()
    gateway: Gateway = Gateway()
    outbox: Outbox = Outbox()
    resume: Resume = Resume()
    bus: Bus = Bus()
    presence: Presence = Presence()
    typing: Typing = Typing()
    session: Session = Session()
    users: Users = Users()
    teams: Teams = Teams()
    limits: Limits = Limits()
    files: Files = Files()
    web: Web = Web()
    search: Search = Search()
    push: Push = Push()
    metrics: Metrics = Metrics()
    log: Log = Log()
    proxies: Proxies = Proxies()
