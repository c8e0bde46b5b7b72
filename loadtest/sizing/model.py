"""How many processes, cores, how much memory and network an installation needs: the arithmetic, line by line.

Plain sums over measured costs; knows no files and prints nothing. A step has its formula with the numbers filled in, so
that a reader can redo it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from loadtest.sizing.costs import Costs

_MIB, _SECONDS = 1 << 20, 3600
_TCP_SHARE = 1.05  # headers of TCP and IP: some 5 % of full segments


@dataclass(frozen=True)
class Installation:
    """Whom it is for. Fields that nobody gave are assumptions, and named as such (`assumed`).

    peak_online: connections open at once. peak_share: of a day's posts, in its busiest hour. audience: connections that
    hear a post. opens_per_hour: channels that somebody who is online opens. starts_per_hour: of the web app, of
    somebody who is online. return_s: everybody logs in and starts anew within so long, as after an outage. busy: share
    of a core that may be used at the peak. gateway_connections: most of one gateway process.
    """

    users: int
    peak_online: int
    posts_per_user: float
    peak_share: float = 0.15
    audience: int = 50
    opens_per_hour: float = 20.0
    starts_per_hour: float = 1.0
    return_s: float = 300.0
    busy: float = 0.6
    gateway_connections: int = 20_000
    assumed: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Step:
    """One line. formula: with the numbers in it. inputs: names of costs and of fields of Installation."""

    what: str
    formula: str
    value: float
    unit: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One kind of process. cores: busy at the peak; those to have are more (`busy`)."""

    name: str
    processes: int
    cores: float
    memory_mib: float
    note: str = ""


@dataclass
class Sizing:
    """The result: sections of steps, parts, sums."""

    sections: list[tuple[str, list[Step]]]
    parts: list[Part]
    cores: int
    memory_mib: float
    network_mbit: float
    warnings: list[str]


def size(plan: Installation, costs: Costs) -> Sizing:
    """Return what an installation needs. Each cost is of one operation: load at the peak times cost is busy time."""
    return _Sums(plan, costs).result()


@dataclass(frozen=True)
class _Load:
    """What happens in a second: at the peak, and back: starts while all come back."""

    posts: float
    deliveries: float
    opens: float
    starts: float
    back: float


Term = tuple[str, float, str]  # what, how often a second, its cost in µs


class _Sums:
    """One sizing under way."""

    def __init__(self, plan: Installation, costs: Costs) -> None:
        self._plan, self._costs = plan, costs
        self._sections: list[tuple[str, list[Step]]] = []
        self._warnings: list[str] = []

    def result(self) -> Sizing:
        """Do all the sums, in the order of the lines."""
        plan, costs = self._plan, self._costs
        self._section("Load at the peak")
        load = self._load()
        parts = [self._api(load), self._gateways(load)]
        parts.append(self._shared("PostgreSQL", "postgres", load, "and what it caches, often a quarter of a machine"))
        parts.append(self._redis(load, parts[1].processes))
        parts.append(self._shared("balancer", "balancer", load, "as many cores as it gets"))
        parts.append(Part("push worker", 1, 0.0, costs["push_bytes"] / _MIB, "pushes are not in these costs"))
        network = self._network(load)
        self._section("Sum")
        cores = math.ceil(sum(part.cores for part in parts) / plan.busy)
        sums = " + ".join(_n(part.cores) for part in parts)
        self._step("cores", f"({sums}) ÷ {plan.busy:g} busy, rounded up", cores, "", "busy")
        memory = sum(part.memory_mib for part in parts)
        self._step("memory", " + ".join(f"{part.memory_mib:,.0f}" for part in parts), memory, "MiB")
        return Sizing(self._sections, parts, cores, memory, network, self._warnings)

    def _section(self, title: str) -> None:
        self._sections.append((title, []))

    def _step(self, what: str, formula: str, value: float, unit: str, *inputs: str) -> float:
        self._sections[-1][1].append(Step(what, formula, value, unit, inputs))
        return value

    def _load(self) -> _Load:
        plan, online = self._plan, f"{self._plan.peak_online:,} online"
        posts = self._step(
            "posts",
            f"{plan.users:,} users × {plan.posts_per_user:g} a day × {plan.peak_share:g} in the busiest hour ÷ 3600 s",
            plan.users * plan.posts_per_user * plan.peak_share / _SECONDS,
            "/s", "users", "posts_per_user", "peak_share",
        )  # fmt: skip
        audience = min(plan.audience, plan.peak_online)
        deliveries = self._step(
            "deliveries", f"{_n(posts)} posts/s × {audience:,} connections that hear a post", posts * audience,
            "/s", "audience", "peak_online",
        )  # fmt: skip
        opens = self._step(
            "channels opened", f"{online} × {plan.opens_per_hour:g} an hour ÷ 3600 s",
            plan.peak_online * plan.opens_per_hour / _SECONDS, "/s", "peak_online", "opens_per_hour",
        )  # fmt: skip
        starts = self._step(
            "starts of the web app", f"{online} × {plan.starts_per_hour:g} an hour ÷ 3600 s",
            plan.peak_online * plan.starts_per_hour / _SECONDS, "/s", "peak_online", "starts_per_hour",
        )  # fmt: skip
        back = self._step(
            "starts while all come back", f"{online} ÷ {plan.return_s:g} s", plan.peak_online / plan.return_s,
            "/s", "peak_online", "return_s",
        )  # fmt: skip
        return _Load(posts, deliveries, opens, starts, max(starts, back))

    def _busy(self, when: str, terms: Iterable[Term]) -> float:
        """Add a line of busy cores, and return them."""
        terms = list(terms)
        formula = " + ".join(f"{_n(rate)} {what} × {_n(self._costs[cost])}" for what, rate, cost in terms)
        busy = sum(rate * self._costs[cost] for _, rate, cost in terms) / 1e6
        return self._step(f"busy {when}", f"({formula}) µs ÷ 10⁶", busy, "cores", *(cost for *_, cost in terms))

    def _busiest(self, kind: str, load: _Load, readers: float = 1.0) -> float:
        """Return the busy cores of a kind at the peak or while all come back, whichever is more."""

        def terms(starts: float) -> list[Term]:
            found = [("posts", load.posts * readers, f"post_{kind}_us"), ("opens", load.opens, f"open_{kind}_us"),
                     ("starts", starts, f"boot_{kind}_us")]  # fmt: skip
            return [*found, ("log-ins", starts, "login_postgres_us")] if kind == "postgres" else found

        return max(self._busy("at the peak", terms(load.starts)), self._busy("while all come back", terms(load.back)))

    def _api(self, load: _Load) -> Part:
        self._section("API")
        busy, share = self._busiest("api", load), self._plan.busy
        count = max(1, math.ceil(busy / share))
        self._step("processes", f"{_n(busy)} cores ÷ {share:g} of a core each, rounded up", count, "", "busy")
        memory = count * self._costs["api_bytes"] / _MIB
        self._step("memory", f"{count} × {_mib(self._costs['api_bytes'])} MiB", memory, "MiB", "api_bytes")
        return Part("API", count, busy, memory)

    def _gateways(self, load: _Load) -> Part:
        plan, costs = self._plan, self._costs
        self._section("Gateways")
        least = self._step(
            "processes for connections",
            f"{plan.peak_online:,} online ÷ {plan.gateway_connections:,} each, rounded up",
            math.ceil(plan.peak_online / plan.gateway_connections), "", "peak_online", "gateway_connections",
        )  # fmt: skip
        shared = (load.deliveries * costs["delivery_us"] + load.back * costs["login_gateway_us"]
                  + plan.peak_online * costs["connection_us_per_s"]) / 1e6  # fmt: skip
        reading = load.posts * costs["post_gateway_us"] / 1e6  # of each: it reads everybody's posts
        if reading >= plan.busy:
            self._warnings.append("Each gateway reads every post, and that alone fills it: more gateways do not help.")
        room = max(plan.busy - reading, 0.01)
        count = max(int(least), math.ceil(shared / room))

        def terms(starts: float) -> list[Term]:
            return [("deliveries", load.deliveries, "delivery_us"), ("log-ins", starts, "login_gateway_us"),
                    ("connections", float(plan.peak_online), "connection_us_per_s"),
                    ("posts read, in all", load.posts * count, "post_gateway_us")]  # fmt: skip

        busy = max(self._busy("at the peak", terms(load.starts)), self._busy("while all come back", terms(load.back)))
        self._step(
            "processes",
            f"the larger of {least:g} and {_n(shared)} cores ÷ ({plan.busy:g} − {_n(reading)} for reading), rounded up",
            count, "", "busy",
        )  # fmt: skip
        each = costs["connection_bytes"] + costs["connection_kernel_bytes"]
        memory = self._step(
            "memory",
            f"{count} × {_mib(costs['gateway_bytes'])} MiB + {plan.peak_online:,} × "
            f"({costs['connection_bytes']:,.0f} + {costs['connection_kernel_bytes']:,.0f} of the kernel) bytes",
            (count * costs["gateway_bytes"] + plan.peak_online * each) / _MIB,
            "MiB", "gateway_bytes", "connection_bytes", "connection_kernel_bytes",
        )  # fmt: skip
        return Part("gateway", count, busy, memory)

    def _redis(self, load: _Load, gateways: int) -> Part:
        measured = max(1.0, self._costs["post_gateways"])
        self._section("Redis")
        readers = self._step(
            "for more gateways", f"{gateways} gateways ÷ {measured:g} in the measurement, at least 1",
            max(1.0, gateways / measured), "×", "post_gateways",
        )  # fmt: skip
        busy = self._busiest("redis", load, readers)
        if busy > self._plan.busy:
            self._warnings.append(f"Redis would use {busy:.2f} of its only core: this is more than one bus carries.")
        return Part("Redis", 1, busy, self._costs["redis_bytes"] / _MIB, "one process, one core")

    def _shared(self, name: str, kind: str, load: _Load, note: str) -> Part:
        self._section(name)
        return Part(name, 1, self._busiest(kind, load), self._costs[f"{kind}_bytes"] / _MIB, note)

    def _network(self, load: _Load) -> float:
        costs = self._costs
        terms = [(load.deliveries, "delivery_bytes"), (load.posts, "post_bytes"), (load.opens, "open_bytes"),
                 (load.back, "boot_bytes")]  # fmt: skip
        self._section("Network between clients and servers")
        formula = " + ".join(f"{_n(rate)} × {costs[cost]:,.0f}" for rate, cost in terms)
        bytes_s = sum(rate * costs[cost] for rate, cost in terms)
        self._step("deliveries, posts, opens, starts", formula, bytes_s, "bytes/s", *(cost for _, cost in terms))
        mbit_s, formula = bytes_s * _TCP_SHARE * 8 / 1e6, f"{bytes_s:,.0f} × {_TCP_SHARE} × 8 ÷ 10⁶"
        return self._step("with headers of TCP and IP", formula, mbit_s, "Mbit/s")


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / _MIB:,.0f}"


def _n(value: float) -> str:
    """Return a number with what matters of it: four digits, or all before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" if value >= 0.001 or not value else f"{value:.6f}"
