"""A sizing for people: lines for a terminal, and docs/sizing.md."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.sizing.costs import WANTED, Costs
from loadtest.sizing.model import Installation, Sizing, Step, size

HEAD = Path(__file__).parent / "head.txt"  # of docs/sizing.md
# What docs/sizing.md sizes: a team, a company, and what the project promises at least.
EXAMPLES = (
    Installation(500, 300, 30),
    Installation(10_000, 4_000, 20),
    Installation(100_000, 30_000, 10, audience=200),
)


def figure(value: float, unit: str = "") -> str:
    """Return a number with as many digits as say something."""
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}" if unit and not unit.startswith("/") else text + unit


def amount(name: str, value: float) -> str:
    """Return a cost with its unit, which its name ends with."""
    if name.endswith("_bytes"):
        return f"{value / (1 << 20):,.1f} MiB" if value >= 1 << 20 else f"{value:,.0f} bytes"
    unit = " µs a second" if name.endswith("_us_per_s") else " µs" if name.endswith("_us") else ""
    return (f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}") + unit


def provenance(costs: Costs, *, shipped: bool) -> list[str]:
    """Return lines that say where the costs were measured."""
    measured, machine = costs.measured, costs.measured["machine"]
    return [
        f"costs     {'shipped with this program' if shipped else 'from your file'}, measured {measured['time']}",
        f"command   {measured['command']}",
        f"revision  {measured['revision'] or 'unknown'}, server {measured['server'].get('Version', 'unknown')}",
        f"machine   {machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, Python {machine['python']}",
    ]


def source(name: str, plan: Installation, costs: Costs) -> str:
    """Return a line for an input: value, and whether it was given, is assumed, or where it was measured."""
    if name in costs.costs:
        cost = costs.costs[name]
        return f"{name} = {amount(name, cost.value)}: {WANTED.get(name, name)}; measured: {cost.from_}"
    return f"{name} = {getattr(plan, name):,}: {'assumed' if name in plan.assumed else 'given'}"


def lines(plan: Installation, costs: Costs, result: Sizing, *, shipped: bool) -> Iterator[str]:
    """Yield everything for a terminal: sums first, then the arithmetic, then where each input is from."""
    yield f"For {_whom(plan)}:"
    yield f"  {_needs(result)}"
    yield ""
    yield f"  {'process':<12} {'number':>6} {'busy cores':>10} {'memory':>10}"
    for part in result.parts:
        memory = f"{part.memory_mib:,.0f} MiB"
        yield f"  {part.name:<12} {part.processes:>6} {part.cores:>10.2f} {memory:>10}  {part.note}".rstrip()
    yield from (f"  warning: {warning}" for warning in result.warnings)
    for title, steps in result.sections:
        yield ""
        yield title
        for step in steps:
            yield f"  {step.what:<28} {step.formula} = {figure(step.value, step.unit)}"
    yield ""
    yield "Inputs"
    yield from (f"  {source(name, plan, costs)}" for name in inputs(result))
    yield ""
    yield from provenance(costs, shipped=shipped)


def inputs(result: Sizing) -> list[str]:
    """Return the names of all inputs, once each, in the order of their use."""
    return list(dict.fromkeys(name for _, steps in result.sections for step in steps for name in step.inputs))


def as_json(plan: Installation, costs: Costs, result: Sizing, *, shipped: bool) -> Mapping[str, Any]:
    """Return all of it for other programs."""
    return {
        "installation": asdict(plan) | {"assumed": sorted(plan.assumed)},
        "cores": result.cores,
        "memory_mib": round(result.memory_mib, 1),
        "network_mbit": round(result.network_mbit, 3),
        "parts": [asdict(part) for part in result.parts],
        "steps": [{"section": title, **asdict(step)} for title, steps in result.sections for step in steps],
        "inputs": {name: source(name, plan, costs) for name in inputs(result)},
        "warnings": result.warnings,
        "costs_shipped": shipped,
        "measured": costs.measured,
    }


ASSUMED = {
    "peak_share": ("--peak-share", "of a day's posts in its busiest hour; spread over nine working hours it is 0.11"),
    "audience": ("--audience", "connections that hear a post: the members of its channel who are online"),
    "opens_per_hour": ("--opens-per-hour", "channels that somebody who is online opens"),
    "starts_per_hour": ("--starts-per-hour", "starts of the app, of somebody who is online"),
    "return_s": ("--return-within", "seconds in which all come back after an outage"),
    "busy": ("--busy", "of a core may be used at the peak"),
    "gateway_connections": ("--gateway-connections", "connections of one gateway process; 15,000 in one are tested"),
}  # fmt: skip


def page(costs: Costs) -> str:
    """Return docs/sizing.md: the shipped costs, what is assumed, and examples with their arithmetic."""
    rows = [
        f"| `{name}` | {amount(name, cost.value)} | {WANTED.get(name, name)} | {cost.from_} |"
        for name, cost in costs.costs.items()
    ]
    default = EXAMPLES[0]
    assumed = [
        f"| `{flag}` | {getattr(default, name):g} | {text} |" for name, (flag, text) in ASSUMED.items()
    ]
    text = HEAD.read_text().format(
        provenance="\n".join(provenance(costs, shipped=True)),
        costs="\n".join(rows),
        assumed="\n".join(assumed),
    )
    return text + "\n".join(_example(plan, size(plan, costs)) for plan in EXAMPLES)


def _example(plan: Installation, result: Sizing) -> str:
    out = [
        f"## {_whom(plan)}",
        "",
        f"**{_needs(result)}.**",
        "",
        "| part | processes | busy cores | memory, MiB | |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {part.name} | {part.processes} | {part.cores:.2f} | {part.memory_mib:,.0f} | {part.note} |"
            for part in result.parts
        ),
        *(f"\n**{warning}**" for warning in result.warnings),
        "",
        "| line | arithmetic | result |",
        "|---|---|---:|",
    ]  # fmt: skip
    for title, steps in result.sections:
        out += [f"| {title}: {one.what} | {one.formula} | {_result(one)} |" for one in steps]
    return "\n".join([*out, ""])


def _whom(plan: Installation) -> str:
    posts = f"{plan.posts_per_user:g} posts a day each, {plan.audience} connections hear one"
    return f"{plan.users:,} users, {plan.peak_online:,} online at the peak, {posts}"


def _needs(result: Sizing) -> str:
    cores = f"{result.cores} core{'s' if result.cores > 1 else ''}"
    return f"{cores}, {result.memory_mib:,.0f} MiB of memory, {result.network_mbit:,.1f} Mbit/s of network"


def _result(step: Step) -> str:
    return figure(step.value, step.unit)
