"""Requests by path and status, by the names of prometheus-fastapi-instrumentator, which vLLM carries."""

from __future__ import annotations

from pagoda.api.metric_families import Families, Tally

_COARSE = (0.1, 0.5, 1)
_FINE = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60,
)  # fmt: skip

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetrics:
    """Filled as requests end. `handler` is a route's template, so that ids in paths make no new series."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, str], int] = {}
        self._durations: dict[tuple[str, str], Tally] = {}
        self._all = Tally(_FINE)

    def observe(self, handler: str, method: str, status: int, seconds: float) -> None:
        if method not in _METHODS:
            method = "OTHER"  # clients can make up any number of them
        key = (handler, method, f"{status // 100}xx")
        self._requests[key] = self._requests.get(key, 0) + 1
        tally = self._durations.get((handler, method))
        if tally is None:
            tally = self._durations[handler, method] = Tally(_COARSE)
        tally.observe(seconds)
        self._all.observe(seconds)

    def collect(self, families: Families) -> None:
        """Adds what was observed so far."""
        for (handler, method, status), count in self._requests.items():
            labels = {"handler": handler, "method": method, "status": status}
            families.counter("http_requests", "HTTP requests that ended.", labels, count)
        for (handler, method), tally in self._durations.items():
            labels = {"handler": handler, "method": method}
            families.histogram("http_request_duration_seconds", "Time to the end.", labels, tally)
        families.histogram("http_request_duration_highr_seconds", "Time to the end.", {}, self._all)
