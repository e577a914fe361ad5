from __future__ import annotations

from tests.engine.toy import add

from pagoda.engine.suspicion import LiveRequest, Trials


def requests(number: int) -> list[LiveRequest]:
    return [LiveRequest(add(f"r{i}", [i]), lambda delta: None) for i in range(number)]


def passes(trials: Trials, live: LiveRequest) -> bool:
    """Gives the one on trial as many tokens as it needs."""
    assert trials.next() is live
    while not trials.is_over(live):
        if len(live.generated) > live.goal:
            return False
        live.generated.append(1)
    return True


def test_alone_at_both_deaths_is_certain() -> None:
    (live,) = requests(1)
    trials = Trials()
    assert trials.judge([live]) == []
    assert trials.next() is live
    assert trials.judge([live]) == [live]
    assert not trials


def test_in_company_and_then_alone_is_certain_for_that_one_only() -> None:
    first, culprit, last = crowd = requests(3)
    trials = Trials()
    assert trials.judge(crowd) == []
    assert passes(trials, first)
    assert trials.next() is culprit
    assert trials.judge([culprit]) == [culprit]
    assert passes(trials, last)
    assert trials.next() is None


def test_a_crowd_survives_two_deaths_and_not_three() -> None:
    crowd = requests(2)
    trials = Trials()
    for _ in range(2):
        assert trials.judge(crowd) == []
        assert all(passes(trials, live) for live in crowd)
    assert trials.judge(crowd) == crowd


def test_trials_get_longer() -> None:
    crowd = requests(2)
    trials = Trials()
    goals = []
    for _ in range(2):
        trials.judge(crowd)
        for live in crowd:
            before = len(live.generated)
            assert passes(trials, live)
            goals.append(len(live.generated) - before)
    assert goals == [1, 1, 32, 32]


def test_calm_clears_everyone() -> None:
    crowd = requests(2)
    trials = Trials()
    trials.judge(crowd)
    trials.forget(crowd)
    assert trials.judge(crowd) == []
    assert [live.deaths for live in crowd] == [1, 1]
    trials.next()
    assert crowd[0].goal == 1


def test_who_has_ended_is_not_tried() -> None:
    first, second = crowd = requests(2)
    trials = Trials()
    trials.judge(crowd)
    assert not trials.remove(second)
    assert trials.remove(first)
    assert not trials.remove(first)
    assert trials.next() is None
