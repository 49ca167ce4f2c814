"""What a work-horse does before it waits."""

import pytest

from taskapi.background import idling


@pytest.fixture(autouse=True)
def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idling, "_steps", {})


def test_each_step_is_taken_once_also_after_one_that_fails() -> None:
    taken = []

    def fail() -> None:
        raise ValueError

    def step() -> None:
        taken.append(1)

    for each in (fail, step, step):
        idling.before_idle(each)
    idling.run_idle_steps()
    assert taken == [1]


def test_before_another_job_only_what_would_have_to_wait_is_done() -> None:
    taken: list[str] = []
    idling.before_idle(lambda: taken.append("hung up"))
    idling.before_idle(lambda: taken.append("written"), or_another_job=True)
    idling.run_idle_steps(another_job=True)
    assert taken == ["written"]
    idling.run_idle_steps()
    assert taken == ["written", "written", "hung up"]
