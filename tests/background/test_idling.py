"""What a work-horse does before it waits."""

import pytest

from taskapi.background import idling


def test_each_step_is_taken_once_also_after_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idling, "_steps", [])
    taken = []

    def fail() -> None:
        raise ValueError

    def step() -> None:
        taken.append(1)

    for each in (fail, step, step):
        idling.before_idle(each)
    idling.run_idle_steps()
    assert taken == [1]
