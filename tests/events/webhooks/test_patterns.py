"""Which types fit the patterns that a webhook asks for."""

import pytest

from taskapi.events.webhooks.patterns import is_wanted


@pytest.mark.parametrize(
    ("patterns", "event_type", "wanted"),
    [
        (["*"], "task.created", True),
        (["task.*"], "task.created", True),
        (["task.created"], "task.created", True),
        (["task.created"], "task.updated", False),
        (["tag.*", "task.updated"], "task.updated", True),
        (["tag.*"], "tagging.done", False),
        ([], "task.created", False),
    ],
    ids=str,
)
def test_patterns_fit_whole_kinds_or_one_type(patterns: list[str], event_type: str, wanted: bool) -> None:
    assert is_wanted(event_type, patterns) is wanted
