"""Merged metrics stay parseable, with each family named once and every sample labelled by its process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tidewire.supervisor.scrape import Health, merge, own_metrics


def exposition(hits: int) -> str:
    registry = CollectorRegistry()
    counter = Counter("hits", "Hits by {kind} and more", ["kind"], registry=registry)
    counter.labels('a "b" {c} \\ d').inc(hits)
    Gauge("load", "Load", registry=registry).set(hits)
    Histogram("time_s", "Time", ["route"], registry=registry, buckets=[1, 2]).labels("/x").observe(hits)
    return generate_latest(registry).decode()


def test_each_sample_gets_its_process() -> None:
    text = merge(
        {"api-1": exposition(1), "gateway-1": exposition(2), "serve": own_metrics([Health("api", True, 3)])}
    )
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {s.labels["process"]: s.value for s in families["load"].samples} == {"api-1": 1, "gateway-1": 2}
    hits = [s for s in families["hits"].samples if s.name == "hits_total"]
    assert {(s.labels["process"], s.labels["kind"]) for s in hits} == {
        ("api-1", 'a "b" {c} \\ d'),
        ("gateway-1", 'a "b" {c} \\ d'),
    }
    assert {s.labels["child"]: s.value for s in families["tidewire_child_restarts"].samples} == {"api": 3}
    types = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))


def test_nobody_answered() -> None:
    assert merge({}) == "\n"
