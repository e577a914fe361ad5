"""How fast prompts are computed on this machine, measured as it goes, and so how long a chunk may be."""

from __future__ import annotations

SHARED_SECONDS = 0.2  #: what a prefill chunk may take while others wait for their next token
ALONE_SECONDS = 1.0  #: what it may take when nobody does; new arrivals and aborts wait no longer
_MIN_TOKENS = 32  #: a smaller chunk wastes more than it saves
_SMOOTHING = 0.3  #: weight of the newest measurement


class PrefillPace:
    """A running estimate of prefill tokens a second. The results of a request never depend on it."""

    def __init__(self, tokens_per_second: float) -> None:
        self.tokens_per_second = tokens_per_second
        self._decode_seconds = 0.0

    def observe(self, decode_tokens: int, prefill_tokens: int, seconds: float) -> None:
        """Takes in the time of one step that computed so many tokens of each kind."""
        if prefill_tokens == 0:
            self._decode_seconds += _SMOOTHING * (seconds - self._decode_seconds)
        elif prefill_tokens >= _MIN_TOKENS:
            spent = max(seconds - (self._decode_seconds if decode_tokens else 0.0), seconds / 4, 1e-6)
            self.tokens_per_second += _SMOOTHING * (prefill_tokens / spent - self.tokens_per_second)

    def budget(self, num_decoding: int) -> int:
        """Prefill tokens that fit the time of the next step."""
        seconds = SHARED_SECONDS if num_decoding else ALONE_SECONDS
        return max(_MIN_TOKENS, int(self.tokens_per_second * seconds))
