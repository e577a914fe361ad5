"""How a step's prefill tokens are shared out: by priority, between users, and between short and long
prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from pagoda.engine.request import Request

_MIN_CHUNK = 32  #: a chunk that does not finish its prompt has at least so many tokens


def share_prefill(
    requests: Sequence[Request], budget: int, service: Mapping[str, float]
) -> list[tuple[Request, int]]:
    """Splits `budget` tokens over requests in order of rank that miss tokens; returns those that get some.

    Better priorities take all they can use. Within a priority users get equal shares, and what a user cannot
    use goes to the one with the least service. Half of a user's share goes to the request that came first, so
    that a long prompt always moves on, and half to the ones with the least left, so that short prompts need
    not wait for it.
    """
    grants: dict[Request, int] = {}
    for _, group in groupby(requests, key=lambda request: request.priority):
        users: dict[str, list[Request]] = {}
        for request in group:
            users.setdefault(request.user, []).append(request)
        order = sorted(users, key=lambda user: service[user])
        share = budget // len(order)
        for user in order:
            budget -= _grant(grants, users[user], min(share, budget))
        for user in order:
            budget -= _grant(grants, users[user], budget)
        if budget <= 0:
            break
    return list(grants.items())


def _grant(grants: dict[Request, int], requests: Sequence[Request], budget: int) -> int:
    """Gives up to `budget` tokens to one user's requests; returns how many were taken."""
    left = budget - _give(grants, requests[:1], budget // 2)
    shortest = sorted(requests[1:], key=lambda request: request.num_remaining - grants.get(request, 0))
    left -= _give(grants, shortest, left)
    left -= _give(grants, requests, left)
    return budget - left


def _give(grants: dict[Request, int], requests: Iterable[Request], budget: int) -> int:
    taken = 0
    for request in requests:
        if taken >= budget:
            break
        given = grants.get(request, 0)
        count = min(request.num_remaining - given, budget - taken)
        # Crumbs cost more than they compute, unless nothing else moves in this step.
        if count > 0 and (given or not grants or count >= min(_MIN_CHUNK, request.num_remaining)):
            grants[request] = given + count
            taken += count
    return taken
