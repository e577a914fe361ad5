"""Ids of responses and items: long random numbers, so that knowing one tells nothing about another."""

from __future__ import annotations

import secrets


def new_id(prefix: str) -> str:
    """Such as "msg_" and 128 random bits."""
    return f"{prefix}_{secrets.token_hex(16)}"
