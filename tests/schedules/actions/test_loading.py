"""Actions of installed packages: loaded at the start, and left out when they are broken."""

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import structlog
from flask import Flask

from taskapi.schedules.actions import loading, registry
from taskapi.schedules.actions.loading import load_plugins
from tests.people import Person

GOOD = """
    from taskapi.plugins import Action, Schema

    def make(name, **fields):
        return Action(name, "From a package", Schema, lambda _context, _params: None, **fields)

    ONE = make("from_package")
    SEVERAL = [make("first_of_two"), make("second_of_two")]

    def lazily():
        return SEVERAL
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package with an entry point where Python finds it."""
    before = {action.name for action in registry.installed()}

    def put(source: str, target: str, *, name: str = "plugin") -> None:
        folder = tmp_path / name
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[taskapi.actions]\n{name} = {name}_module:{target}\n")
        (folder / f"{name}_module.py").write_text(dedent(source))
        monkeypatch.syspath_prepend(str(folder))

    yield put
    for action in registry.installed():
        if action.name not in before:
            registry.unregister(action.name)
            loading._loaded.pop(action.name, None)


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("ONE", {"from_package"}),
        ("SEVERAL", {"first_of_two", "second_of_two"}),
        ("lazily", {"first_of_two", "second_of_two"}),
    ],
)
def test_a_package_gives_an_action_or_several(install: Install, target: str, names: set[str]) -> None:
    before = {action.name for action in registry.installed()}
    install(GOOD, target)
    load_plugins()
    assert {action.name for action in registry.installed()} - before == names


def test_loading_again_changes_nothing(install: Install) -> None:
    install(GOOD, "ONE")
    load_plugins()
    first = registry.find("from_package")
    with structlog.testing.capture_logs() as lines:
        load_plugins()
    assert registry.find("from_package") is first
    assert lines == []


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("import a_module_that_nobody_has", "ONE"),
        ("this is no Python", "ONE"),
        ("import sys; sys.exit(1)", "ONE"),
        ("ONE = 1 / 0", "ONE"),
        ("", "MISSING"),
        ("ONE = 'reminder'", "ONE"),
        ("ONE = None", "ONE"),
        (GOOD + "\n    def broken():\n        raise RuntimeError('no')", "broken"),
        (GOOD + "\n    MIXED = [make('fine'), 5]", "MIXED"),
        (GOOD + "\n    NAMED = make('Bad Name')", "NAMED"),
        (GOOD + "\n    NAMED = make('a' * 81)", "NAMED"),
        (GOOD + "\n    LOUD = Action('loud', 'x' * 201, Schema, print)", "LOUD"),
        (GOOD + "\n    LOOSE = Action('loose', 'No schema', dict, print)", "LOOSE"),
        (GOOD + "\n    KEYS = make('keys', secrets=('password',))", "KEYS"),
        (GOOD + "\n    FOR_ADMINS = make('for_admins', admin_params=('everybody',))", "FOR_ADMINS"),
    ],
)
def test_a_broken_package_is_named_and_left_out(
    install: Install, app: Flask, owner: Person, source: str, target: str
) -> None:
    before = {action.name for action in registry.installed()}
    install(source, target, name="broken")
    install(GOOD, "ONE", name="good")
    with structlog.testing.capture_logs() as lines:
        load_plugins()
    (line,) = lines
    assert (line["event"], line["plugin"]) == ("plugin.broken", "broken")
    assert {action.name for action in registry.installed()} - before == {"from_package"}
    assert owner.get("/api/actions").status_code == 200


def test_a_package_does_not_replace_what_is_there(install: Install) -> None:
    house = registry.find("webhook")
    install(GOOD + "\n    ONE = make('webhook')", "ONE", name="evil")
    install(GOOD, "ONE", name="first")
    install(GOOD, "ONE", name="second")
    with structlog.testing.capture_logs() as lines:
        load_plugins()
    assert registry.find("webhook") is house
    assert [line["plugin"] for line in lines] == ["evil", "second"]
