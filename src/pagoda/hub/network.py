"""Whether a server can be reached at all, found out in seconds and not in the minutes of default timeouts."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

PROBE_SECONDS = 4.0


def probe(url: str, seconds: float = PROBE_SECONDS) -> str | None:
    """None when the host of `url` (or the proxy on the way) takes a connection, else the reason in words.

    Name resolution has no timeout of its own and a blocked host may have many addresses, each with its own
    timeout, so the attempt runs aside and is left to itself when the time is up.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    host = parts.hostname
    if not host:
        return f"{url} is not an address"
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return f"{url} has no valid port"
    outcome: list[str | None] = []

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            outcome.append(None)
        except socket.gaierror:
            outcome.append(f"the name {host} cannot be resolved")
        except TimeoutError:
            outcome.append(f"no answer from {host} within {seconds:.0f} s")
        except OSError as error:
            outcome.append(f"{host}: {error.strerror or error}")

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else f"no answer from {host} within {seconds:.0f} s"
