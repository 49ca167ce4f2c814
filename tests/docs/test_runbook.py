"""What the runbook tells people to look for is what the processes write, answer and show; tests prove it."""

import re

import pytest

from taskapi.background import names
from taskapi.clients.storage import s3
from taskapi.clients.weather import breaker
from taskapi.core import migrations
from taskapi.events.webhooks import lease as webhook_lease
from taskapi.events.webhooks import verdicts
from taskapi.files import objects
from taskapi.notifications import outbox
from taskapi.ops import audit, scheduling, service
from taskapi.schedules.engine import apart, execution, lease, settling
from taskapi.schedules.timing import retry
from taskapi.tasks import weather
from taskapi.tasks.importing import lease as import_lease
from tests.docs import pages
from tests.docs.proofs import assert_names_proofs
from tests.e2e.installation import REPOSITORY

RUNBOOK = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
FAULTS = re.findall(r"^### Fault: (.+?)\n(.*?)(?=^##)", RUNBOOK, re.MULTILINE | re.DOTALL)
SMALLER = re.findall(
    r"^\| (.+) \|$", RUNBOOK.partition("### Smaller faults")[2].partition("\n## ")[0], re.MULTILINE
)
WORDS = " ".join("".join(text for _, text in FAULTS).split()) + "".join(SMALLER)
LOCK_SECONDS = [
    migrations.ATTEMPTS * (migrations.LOCK_TIMEOUT_MS / 1000 + pause) for pause in migrations.PAUSE_SECONDS
]
SWEPT_EVERY = {entry.job_name: entry.interval for entry in scheduling.HOUSEKEEPING}
SOURCE = "".join(
    path.read_text(encoding="utf-8")
    for room in ("taskapi", "migrations")
    for path in sorted((REPOSITORY / room).rglob("*.py"))
)


def ids(fault: tuple[str, str]) -> str:
    return fault[0].replace(" ", "_")


def test_there_are_faults_to_read_about() -> None:
    assert len(FAULTS) >= 9


@pytest.mark.parametrize("fault", FAULTS, ids=ids)
def test_a_fault_says_what_works_how_it_is_seen_and_what_to_do(fault: tuple[str, str]) -> None:
    said = re.findall(r"^- \*\*(.+?)\*\*:", fault[1], re.MULTILINE)
    assert said == ["Still works", "Seen by", "To do", "Shown by"]


@pytest.mark.parametrize("fault", FAULTS, ids=ids)
def test_a_fault_names_the_tests_that_make_it(fault: tuple[str, str]) -> None:
    assert_names_proofs(fault[1].partition("- **Shown by**:")[2].partition("\n\n")[0])


def test_so_does_a_smaller_one() -> None:
    titles, *faults = [row.split(" | ") for row in SMALLER if not row.startswith("---")]
    assert titles[-1] == "shown by"
    assert len(faults) >= 5
    for fault in faults:
        assert_names_proofs(fault[-1])


@pytest.mark.parametrize(
    ("words", "seconds", "found"),
    [
        ("for 15 s", 15, execution.CLAIM_PATIENCE_SECONDS),
        ("held for half a minute", 30, settling.SETTLE_PATIENCE_SECONDS),
        ("again after 30 s, 1 min, 2 min …", 30, outbox.FIRST_PAUSE_SECONDS),
        ("up to 4 h apart", 4 * 3600, outbox.LONGEST_PAUSE_SECONDS),
        ("5 s for a connection", 5, s3.CONNECT_SECONDS),
        ("30 s for each answer", 30, s3.ANSWER_SECONDS),
        ("again after 1 min, 2 min …", 60, objects.FIRST_PAUSE_SECONDS),
        ("… up to an hour", 3600, objects.LONGEST_PAUSE_SECONDS),
        ("Its run or webhook goes on elsewhere when its lease of 20 s ends", 20, lease.LEASE_SECONDS),
        ("Its run or webhook goes on elsewhere when its lease of 20 s ends", 20, webhook_lease.LEASE_SECONDS),
        ("an import after 30 s", 30, import_lease.LEASE_SECONDS + SWEPT_EVERY[names.SWEEP_IMPORTS]),
        ("a mail after two minutes", 120, outbox.LEASE_SECONDS),
        ("naming `scheduler` within 10 s", 10, service.SCHEDULER_SILENT_AFTER_SECONDS),
        ("naming `clock` from 5 s on", 5, audit.MAX_CLOCK_OFFSET_SECONDS),
        ("after two minutes or three", 120, LOCK_SECONDS[0]),
        ("after two minutes or three", 180, LOCK_SECONDS[1]),
        ("left alone for 30 s at a time", 30, breaker.PAUSE_SECONDS),
        ("weather of up to a day ago", 86_400, weather.KEPT_SECONDS),
        ("tried again for three days", 3 * 86_400, verdicts.PATIENCE_SECONDS),
        ("set aside for an hour", 3600, apart.SET_ASIDE.total_seconds()),
        ("tried again after three minutes", 180, apart.HELD_UP.total_seconds()),
    ],
)
def test_the_times_it_names_are_those_of_the_code(words: str, seconds: float, found: float) -> None:
    assert words in WORDS
    assert seconds == found


def test_it_names_how_often_things_are_tried() -> None:
    assert "three times; a slow store" in WORDS
    assert s3.ATTEMPTS == 3
    assert "kills its worker five times" in WORDS
    assert retry.MAX_LOST_ATTEMPTS == 5


@pytest.mark.parametrize("fault", FAULTS, ids=ids)
def test_what_it_names_is_what_the_code_calls_it(fault: tuple[str, str]) -> None:
    settings = {setting.name for setting in pages.settings()}
    for word in re.findall(r"`([^`]+)`", fault[1].partition("```")[0]):
        if word.startswith("test_"):
            continue
        if re.fullmatch(r"[a-z_]+\.[a-z_]+", word):
            assert f'"{word}"' in SOURCE or f'"{word},' in SOURCE, word
        elif re.fullmatch(r"taskapi_[a-z_]+", word):
            assert word.removesuffix("_total") in SOURCE, word
        elif re.fullmatch(r"[A-Z]+_[A-Z_]+", word):
            assert word in settings, word
        elif re.fullmatch(r"[a-z]+_[a-z_]+", word):
            assert word in SOURCE, word
