"""The texts of e-mails, whatever people put into them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from taskapi.core.mail_kinds import MAIL_KINDS, SECURITY_KINDS
from taskapi.notifications import templates
from taskapi.notifications.templates import duration, interval, lateness, on_the_wall, render_email
from taskapi.notifications.unsubscribe import ABOUT
from tests.conftest import settings_for

COMMON = {
    "subject": "A subject",
    "reason": "You asked for it.",
    "unsubscribe_url": "https://tasks.example.org/u/x?a=1&b=2",
    "unsubscribe_words": "Stop e-mails about this",
    "subject_id": "01975d3e-8c1f-7b65-9a55-3b1f6b0f2a11",
    "timezone": "Europe/Paris",
}
RUN = {
    "action": "webhook",
    "scheduled_for": "2026-11-20T08:30:00+00:00",
    "due_words": "due",
    "attempt": 1,
    "lag_ms": 120,
    "duration_ms": 1500,
    "error": {"code": "timeout", "message": "It took longer than 300 s."},
}
SCHEDULE = {
    "action": "webhook",
    "when": "Every hour",
    "run_at": None,
    "next_run_at": "2026-11-20T08:30:00+00:00",
}
ALERT = {
    "action": "webhook",
    "facts": "It was skipped.",
    "advice": "Is a worker running?",
    "subject_type": "Schedule",
}
TASK = {"facts": "Tariq gave you this task.", "quote": "Soon?", "due": "2026-11-20T08:30:00+00:00"}
DUE = {"title": "Tea", "due": "2026-11-20T08:30:00+00:00"}
KINDS: dict[str, dict[str, Any]] = {
    "schedule_created": SCHEDULE,
    "run_completed": RUN,
    "run_failed": RUN,
    "reminder": {"message": "Tea is ready.", "task": ("01975d3e-8c1f-7b65-9a55-3b1f6b0f2a11", "Tea")},
    "file_damaged": {"facts": "It is gone."},
    "webhook_disabled": {"facts": "The receiver answered 410 Gone."},
    "digest": {
        "sections": [{"name": "overdue", "heading": "Overdue", "count": 2, "tasks": [DUE], "more": 1}]
    },
    **dict.fromkeys(("task_assigned", "task_overdue", "comment_added", "mentioned"), TASK),
    **dict.fromkeys(
        ("run_missed", "run_overdue", "run_recovered", "schedule_paused", "ping_unexpected"), ALERT
    ),
}
LINK = {"link": "https://tasks.example.org/a#token=x", "until": "2026-11-20T08:30:00+00:00"}
NEWS = {"facts": "It was changed.", "advice": "Was it you?", "at": "2026-11-20T08:30:00+00:00"}
SECURITY: dict[str, dict[str, Any]] = {
    "verify_email": LINK,
    "password_reset": LINK,
    "invitation": LINK,
    "password_changed": NEWS,
    "session_reuse": NEWS,
    "second_factor_changed": NEWS,
}
HOSTILE = {
    "markup": "<script>alert(1)</script>",
    "attribute": "\"'><img src=x onerror=alert(1)>",
    "template": "{{ config }} {% raw %}",
    "newlines": "one\ntwo\r\nthree",
    "endless": "W" * 2000,
    "right to left": "‮مرحبا بالعالم",
    "emoji": "👩‍👩‍👧‍👦 🎉",
}


@pytest.fixture(autouse=True)
def context(tmp_path: Path) -> Iterator[None]:
    """An application that is nothing but its settings."""
    app = Flask("texts")
    app.extensions["taskapi_settings"] = settings_for(tmp_path, "redis://127.0.0.1:1", APP_NAME="Tea & Co")
    with app.app_context():
        yield


def render(kind: str, text: str = "Make tea", **changes: Any) -> tuple[str, str]:
    about = {**KINDS, **SECURITY}[kind]
    return render_email(kind, {**COMMON, "name": text, "title": text, "account": text, **about, **changes})


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
# Nothing that people write stands in the mail to an address that is not known to be theirs.
@pytest.mark.parametrize("kind", [kind for kind in (*KINDS, *SECURITY) if kind != "verify_email"])
def test_what_people_write_stays_text(kind: str, text: str) -> None:
    error = {"code": "exception", "message": text}
    plain, html = render(kind, text, message=text, error=error)
    assert text.replace("\r\n", "\n").splitlines()[0] in plain
    assert "<script" not in html
    assert "<img" not in html


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_says_who_sends_it_why_and_how_to_stop_it(kind: str) -> None:
    plain, html = render(kind)
    for words in ("Tea & Co", "You asked for it.", "Stop e-mails about this"):
        assert words in plain
        assert words.replace("&", "&amp;") in html
    assert f"Stop e-mails about this: {COMMON['unsubscribe_url']}\n" in plain
    assert 'href="https://tasks.example.org/u/x?a=1&amp;b=2"' in html


@pytest.mark.parametrize("kind", SECURITY)
def test_a_message_about_security_says_who_sends_it_and_why_and_cannot_be_stopped(kind: str) -> None:
    for part in render(kind, unsubscribe_url=None, unsubscribe_words=None):
        assert "You asked for it." in part
        for word in ("None", "nsubscribe", "Stop"):
            assert word not in part


@pytest.mark.parametrize("kind", ["verify_email", "password_reset", "invitation"])
def test_a_link_stands_in_both_texts(kind: str) -> None:
    plain, html = render(kind)
    assert f"\n\n{LINK['link']}\n\n" in plain
    assert f'href="{LINK["link"]}"' in html


@pytest.mark.parametrize("kind", [*KINDS, *SECURITY])
def test_no_message_loads_anything(kind: str) -> None:
    _plain, html = render(kind)
    for tag in ("<img", "<link", "<script", "url(", "@import"):
        assert tag not in html


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("schedule_created", {"next_run_at": None}),
        ("run_completed", {"lag_ms": None, "duration_ms": None}),
        ("run_failed", {"lag_ms": None, "error": {"code": "unknown", "message": ""}}),
    ],
)
def test_what_is_not_known_is_left_out_or_a_dash(kind: str, missing: dict[str, Any]) -> None:
    plain, html = render(kind, **missing)
    assert "None" not in plain
    assert "None" not in html


def test_a_schedule_without_a_next_run_promises_none() -> None:
    plain, _html = render("schedule_created", next_run_at=None)
    assert plain.startswith("Scheduled: Make tea\n\nAction:    webhook\n")


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (None, "-"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (59_949, "59.9 s"),
        (60_000, "1 min"),
        (3_725_000, "1 h 2 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_durations_in_words(milliseconds: int | None, words: str) -> None:
    assert duration(milliseconds) == words


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(None, "-"), (-3, "when it was due"), (0, "when it was due"), (120, "120 ms after it was due")],
)
def test_lateness_in_words(milliseconds: int | None, words: str) -> None:
    assert lateness(milliseconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.0, "every second"),
        (60.0, "every minute"),
        (86_400.0, "every day"),
        (5400.0, "every 1 hour 30 minutes"),
        (172_800.0, "every 2 days"),
        (1.5, "every 1.5 seconds"),
    ],
)
def test_intervals_in_words(seconds: float, words: str) -> None:
    assert interval(seconds) == words


@pytest.mark.parametrize(
    ("moment", "zone", "words"),
    [
        ("2026-11-05T23:30:00+00:00", "Europe/Paris", "Fri 6 Nov 2026, 00:30 (Europe/Paris)"),
        ("2026-07-20T08:00:05+00:00", "Asia/Kolkata", "Mon 20 Jul 2026, 13:30:05 (Asia/Kolkata)"),
    ],
)
def test_times_are_on_the_wall_of_the_reader(moment: str, zone: str, words: str) -> None:
    assert on_the_wall(moment, zone) == words


def test_each_kind_of_e_mail_has_its_texts_and_can_be_switched_off_unless_it_is_about_security() -> None:
    folder = Path(templates.__file__).parent / "mail_templates"
    texts = {path.stem for path in folder.glob("*.txt")} - {"footer", "security_notice", "alert", "task"}
    assert texts == {*MAIL_KINDS, *SECURITY_KINDS}
    assert set(MAIL_KINDS) == ABOUT.keys()
    assert set(SECURITY_KINDS) == SECURITY.keys()
