"""Bodies of requests and shapes of answers that several routes share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Fields that are not listed are an error: the page and the server are of one version."""

    model_config = ConfigDict(extra="forbid")


class Done(BaseModel):
    """Nothing to tell but that it is done."""

    ok: bool = True
