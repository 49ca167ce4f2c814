"""The action digest"""

from typing import Any

import pytest
from flask import Flask

from tests.notifications.outbox import emails, mailed
from tests.people import Person, make_person
from tests.schedules.actions.calling import run_now
from tests.schedules.making import Time, make
from tests.tasks.making import make_task, path_of
from tests.work import tick


def plan(person: Person) -> dict[str, Any]:
    return make(person, action="digest", params={}, cron="0 0 1 1 *", notify=[])


def result_of(app: Flask, person: Person, schedule: dict[str, Any]) -> dict[str, Any]:
    run = run_now(app, person, schedule)
    assert run["status"] == "completed", run["error"]
    result: dict[str, Any] = run["result"]
    return result


def texts(app: Flask, kind: str = "digest") -> list[tuple[str, str, str]]:
    with app.app_context():
        return [(mail.subject, mail.text, mail.html) for mail in emails() if mail.kind == kind]


def test_it_says_what_is_late_and_due_and_done(app: Flask, time: Time, owner: Person) -> None:
    # It is Friday, 09:00.
    for title, due in (
        ("Late <one>", "2026-11-19T12:00:00Z"),
        ("Today", "2026-11-20T23:59:59Z"),
        ("Tomorrow", "2026-11-21T00:00:00Z"),
        ("On Thursday", "2026-11-26T23:59:59Z"),
        ("Next Friday", "2026-11-27T00:00:00Z"),
        ("Cancelled", "2026-11-20T23:59:59Z"),
        ("Done", None),
    ):
        task = make_task(owner, title=title, due_date=due)
        if title in ("Cancelled", "Done"):
            owner.patch(path_of(task), {"status": title.lower()})
    assert result_of(app, owner, plan(owner)) == {
        "sent": True,
        "overdue": 1,
        "due_today": 1,
        "due_this_week": 2,
        "completed": 1,
    }
    ((subject, text, html),) = texts(app)
    assert subject == "Your tasks: 1 overdue, 1 due today, 2 due within a week, 1 completed"
    assert "Overdue (1)\n  - Late <one>\n    due Thu 19 Nov 2026, 12:00 (UTC)\n" in text
    assert text.index("Today") < text.index("Tomorrow") < text.index("On Thursday") < text.index("- Done")
    assert "Next Friday" not in text
    assert "Late &lt;one&gt;" in html


def test_what_was_completed_last_comes_first(app: Flask, time: Time, owner: Person) -> None:
    for title, due in (
        ("First", "2026-12-01T12:00:00Z"),
        ("Second", None),
        ("Third", "2026-12-24T12:00:00Z"),
    ):
        owner.patch(path_of(make_task(owner, title=title, due_date=due)), {"status": "done"})
        time.pass_(minutes=1)
    result_of(app, owner, plan(owner))
    ((_subject, text, _html),) = texts(app)
    assert text.index("Third") < text.index("Second") < text.index("First")


def test_days_are_those_of_the_owner(app: Flask, time: Time) -> None:
    person = make_person(app, "akira@example.org", timezone="Asia/Tokyo")
    make_task(person, title="After midnight", due_date="2026-11-20T15:30:00Z")
    assert result_of(app, person, plan(person)) == {"sent": True, "due_this_week": 1}
    ((_subject, text, _html),) = texts(app)
    assert "due Sat 21 Nov 2026, 00:30 (Asia/Tokyo)" in text


def test_without_anything_to_say_there_is_no_mail(app: Flask, time: Time, owner: Person) -> None:
    make_task(owner, title="Some day")
    assert result_of(app, owner, plan(owner)) == {"sent": False}
    assert mailed(app) == []


def test_who_switched_digests_off_gets_none(app: Flask, time: Time, owner: Person) -> None:
    make_task(owner, due_date="2026-11-19T12:00:00Z")
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {"digest": False}}})
    assert result_of(app, owner, plan(owner)) == {"sent": False, "overdue": 1}
    assert texts(app) == []


def test_only_what_is_ones_own_to_do_counts(
    app: Flask, time: Time, owner: Person, teammate: Person, admin: Person
) -> None:
    late = "2026-11-19T12:00:00Z"
    make_task(owner, due_date=late, assignee_id=str(teammate.id))
    make_task(teammate, due_date=late)
    tick(app)
    for person, count in ((owner, None), (teammate, 2), (admin, None)):
        assert result_of(app, person, plan(person)).get("overdue") == count


def test_what_is_new_and_done_counts_once(app: Flask, time: Time, owner: Person, teammate: Person) -> None:
    schedule = plan(owner)
    make_task(teammate, title="For you", assignee_id=str(owner.id))
    done = make_task(owner, title="Done")
    owner.patch(path_of(done), {"status": "done"})
    tick(app)
    time.pass_(hours=1)
    assert result_of(app, owner, schedule) == {"sent": True, "assigned": 1, "completed": 1}
    time.pass_(hours=1)
    assert result_of(app, owner, schedule) == {"sent": False}


def test_a_long_section_is_cut(app: Flask, time: Time, owner: Person) -> None:
    tasks = [{"title": f"No. {number}", "due_date": "2026-11-19T12:00:00Z"} for number in range(12)]
    assert owner.post("/api/tasks/bulk", {"tasks": tasks}).status_code == 201
    assert result_of(app, owner, plan(owner))["overdue"] == 12
    ((_subject, text, html),) = texts(app)
    assert text.count("- No.") == 10
    assert "and 2 more" in text
    assert "and 2 more" in html


@pytest.mark.one_database
def test_it_takes_no_params(owner: Person) -> None:
    answer = owner.post(
        "/api/schedules",
        {"name": "Digest", "action": "digest", "params": {"days": 3}, "cron": "0 8 * * *"},
    )
    assert list(answer.json["errors"]) == ["params.days"]


def test_a_reminder_names_the_task_that_it_is_about(
    app: Flask, time: Time, owner: Person, teammate: Person
) -> None:
    task = make_task(owner, title="Buy tea")
    params = {"message": "Soon?", "task_id": task["id"]}
    run = run_now(app, owner, make(owner, params=params, cron="0 0 1 1 *", notify=[]))
    assert run["status"] == "completed"
    assert owner.get("/api/notifications").json["items"][0]["task_id"] == task["id"]
    ((_subject, text, html),) = texts(app, "reminder")
    assert f"Task:      Buy tea\n           {task['id']}" in text
    assert "Buy tea" in html
    theirs = make(teammate, params=params, cron="0 0 1 1 *", notify=[], retry={"max_attempts": 1})
    refused = run_now(app, teammate, theirs)
    assert (refused["status"], refused["error"]["code"]) == ("failed", "task_not_found")
