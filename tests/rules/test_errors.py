"""Errors: each has a code and an explanation; few are caught broadly, few keep changes."""

import ast
import inspect
import pkgutil
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

import taskapi
from taskapi.core.errors import DomainError, all_errors
from tests.rules.sources import APPLICATION, name_of

# Loops that must outlive any failure, actions of plug-ins, and rolling back before raising again.
BROAD_HANDLERS = Counter(
    {
        "taskapi/background/hand.py": 1,
        "taskapi/background/horse.py": 2,
        "taskapi/background/idling.py": 1,
        "taskapi/background/scheduler.py": 4,
        "taskapi/background/scripts.py": 1,
        "taskapi/core/api.py": 1,
        "taskapi/core/db.py": 2,
        "taskapi/events/audit/refusals.py": 1,
        "taskapi/events/live/process.py": 2,
        "taskapi/events/live/websocket.py": 1,
        "taskapi/events/messages.py": 1,
        "taskapi/events/service.py": 3,
        "taskapi/notifications/outbox.py": 1,
        "taskapi/ops/doctor/examination.py": 1,
        "taskapi/schedules/actions/loading.py": 1,
        "taskapi/schedules/editing.py": 1,
        "taskapi/schedules/engine/backfilling.py": 1,
        "taskapi/schedules/engine/apart.py": 2,
        "taskapi/core/read_at_once.py": 1,
        "taskapi/core/together.py": 1,
        "taskapi/schedules/engine/execution.py": 1,
    }
)
KEEP_CHANGES = {"RefreshTokenReused"}

for _module in pkgutil.walk_packages(taskapi.__path__, "taskapi."):
    if _module.name not in ("taskapi.wsgi", "taskapi.ops.gunicorn_settings"):
        import_module(_module.name)
ERRORS = sorted(
    {kind for kind in all_errors() if kind.__module__.startswith("taskapi.")}, key=lambda kind: kind.code
)


def is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException"))
        for kind in kinds
    )


def broad_handlers(path: Path) -> int:
    tree = ast.parse(path.read_text())
    return sum(isinstance(node, ast.ExceptHandler) and is_broad(node) for node in ast.walk(tree))


def test_everything_is_caught_in_the_listed_places_only() -> None:
    found = Counter({name_of(path): broad_handlers(path) for path in APPLICATION})
    assert +found == BROAD_HANDLERS


def test_the_errors_that_keep_changes_are_the_listed_ones() -> None:
    assert {kind.__name__ for kind in ERRORS if kind.keep_changes} == KEEP_CHANGES


def test_no_two_errors_have_one_code() -> None:
    assert [code for code, count in Counter(kind.code for kind in ERRORS).items() if count > 1] == []


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.code)
def test_an_error_explains_itself(kind: type[DomainError]) -> None:
    assert "__doc__" in vars(kind)
    assert (inspect.getdoc(kind) or "").endswith(".")
    assert "code" in vars(kind)
    assert kind.title
    assert 400 <= kind.status < 600
