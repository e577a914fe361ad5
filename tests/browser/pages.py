"""Pages that watch themselves: what they write to the console and what they ask for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "browser"

#: The browser writes a line for every response that is not a success; some tests provoke such responses.
PROVOKED = re.compile(
    r"Failed to load resource: the server responded with a status of (400|401|403|404|409|422|429|503)"
)


@dataclass
class Watched:
    """A page of the app, and what it did."""

    page: Any
    base_url: str
    #: Responses that are no success are part of the test.
    provoked: bool = False
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", lambda message: self._said(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not (self.provoked and PROVOKED.search(text)):
            self.complaints.append(f"{kind}: {text}")

    def foreign_requests(self) -> list[str]:
        """What was asked of any host but the server."""
        home = urlsplit(self.base_url).netloc
        parts = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, part in parts if part.scheme not in ("data", "blob") and part.netloc != home]

    def screenshot(self, name: str) -> None:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png")


OpenPage = Callable[..., Watched]
