from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from pagoda.api.metric_families import Families, Tally

BOUNDS = (0.005, 0.5, 1, 2.5, 100)


class Shown(Collector):
    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def text_of(collector: Collector) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry).decode()


@given(st.lists(st.sampled_from(BOUNDS) | st.floats(0, 200)))
def test_a_tally_shows_what_the_librarys_histogram_shows(values: list[float]) -> None:
    registry = CollectorRegistry()
    theirs = Histogram("x", "text", ("a",), buckets=BOUNDS, registry=registry).labels("1")
    ours = Tally(BOUNDS)
    for value in values:
        theirs.observe(value)
        ours.observe(value)
    families = Families()
    families.histogram("x", "text", {"a": "1"}, ours)
    expected = [line for line in generate_latest(registry).decode().splitlines() if "x_created" not in line]
    assert text_of(Shown(families)).splitlines() == expected
    assert ours.count == len(values)


def test_models_share_a_family() -> None:
    families = Families()
    for name in ("a", 'b"\n\\'):
        labels = {"model_name": name, "engine": "0"}
        families.gauge("vllm:g", "text", labels, 1)
        families.counter("vllm:c", "text", labels, 2)
        families.histogram("vllm:h", "text", labels, Tally((1,)))
    found = {family.name: family for family in text_string_to_metric_families(text_of(Shown(families)))}
    assert {name: family.type for name, family in found.items()} == {
        "vllm:g": "gauge",
        "vllm:c": "counter",
        "vllm:h": "histogram",
    }
    for family in found.values():
        assert {sample.labels["model_name"] for sample in family.samples} == {"a", 'b"\n\\'}
