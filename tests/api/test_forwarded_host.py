"""What a proxy says of the address that was asked for, and from which proxies it is believed."""

from __future__ import annotations

from typing import Any

import pytest
from uvicorn import Config

from pagoda.api.forwarded_host import take_forwarded_host

LOCAL, REMOTE = ("127.0.0.1", 1), ("10.0.0.9", 1)


@pytest.mark.parametrize(
    ("client", "allowed", "forwarded", "host"),
    [
        (LOCAL, None, ["house.example"], "house.example"),
        (LOCAL, None, ["forged.example, house.example:8443"], "house.example:8443"),
        (LOCAL, None, ["forged.example", "house.example"], "house.example"),
        (LOCAL, None, [" "], "inside:8000"),
        (LOCAL, None, [], "inside:8000"),
        (REMOTE, None, ["house.example"], "inside:8000"),
        (REMOTE, "10.0.0.0/8", ["house.example"], "house.example"),
        (None, None, ["house.example"], "inside:8000"),
        (None, "*", ["house.example"], "house.example"),
    ],
)
async def test_the_host_of_a_trusted_proxy_counts(
    client: tuple[str, int] | None,
    allowed: str | None,
    forwarded: list[str],
    host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    if allowed is not None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", allowed)
    config = Config(app, log_config=None, lifespan="off")
    config.load()
    take_forwarded_host(config)
    headers = [(b"host", b"inside:8000"), (b"x-forwarded-proto", b"https")]
    headers += [(b"x-forwarded-host", each.encode()) for each in forwarded]
    scope = {"type": "http", "scheme": "http", "client": client, "headers": headers}
    await config.loaded_app(scope, None, None)  # type: ignore[arg-type]
    [told] = seen
    assert [value for name, value in told["headers"] if name == b"host"] == [host.encode()]
    trusted = client == LOCAL or allowed is not None
    assert told["scheme"] == ("https" if trusted else "http")
