"""Which names in a Host header are this machine's own: the guard against DNS rebinding."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit


def is_own_host(header: str, names: Collection[str]) -> bool:
    """Whether it is localhost, a name below it, an address in figures, or one of `names`; any port will do.

    Nobody else can make an address in figures lead here, nor a name below localhost (RFC 6761).
    """
    try:
        host = (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:  # brackets that hold no address
        return False
    if host == "localhost" or host.endswith(".localhost") or host in {name.lower() for name in names}:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
