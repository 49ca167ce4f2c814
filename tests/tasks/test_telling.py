"""Who is told what of a task, in the application and by e-mail, and how often."""

from typing import Any

import pytest
from flask import Flask

from taskapi.accounts.models import User
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.tasks import telling
from taskapi.tasks.overdue import mark_overdue
from tests.notifications.outbox import emails, mailed
from tests.people import Person
from tests.schedules.making import Time
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of
from tests.work import tick


def told(person: Person) -> list[tuple[str, str]]:
    """Kind and title of what a person was told, newest first."""
    items = person.get("/api/notifications").json["items"]
    return [(item["type"], item["title"]) for item in items]


def say(person: Person, task: dict[str, Any], content: str) -> dict[str, Any]:
    answer = person.post(f"{path_of(task)}/comments", {"content": content})
    assert answer.status_code == 201, answer.text
    comment: dict[str, Any] = answer.json
    return comment


def let_it_be_late(app: Flask, time: Time) -> None:
    time.pass_(hours=2)
    with app.app_context():
        mark_overdue()
    tick(app)


@pytest.fixture
def task(app: Flask, time: Time, owner: Person, teammate: Person) -> dict[str, Any]:
    """The owner's task that the teammate does, and has been told of."""
    task = make_task(owner, title="Buy tea", assignee_id=str(teammate.id))
    tick(app)
    with app.app_context(), transaction():
        for kind in ("notifications", "emails"):
            session().connection().exec_driver_sql(f"DELETE FROM {kind}")
    return task


def test_who_is_given_a_task_is_told(app: Flask, time: Time, owner: Person, teammate: Person) -> None:
    task = make_task(owner, title="Buy <tea>", assignee_id=str(teammate.id), due_date="2026-11-20T17:00:00Z")
    tick(app)
    (item,) = teammate.get("/api/notifications").json["items"]
    assert (item["type"], item["title"]) == ("task_assigned", "Assigned to you: Buy <tea>")
    assert (item["task_id"], item["message"]) == (task["id"], "olivia gave you this task.")
    assert told(owner) == []
    with app.app_context():
        (email,) = emails()
        assert (email.recipient, email.subject) == (teammate.email, "Assigned to you: Buy <tea>")
        assert "Due:       Fri 20 Nov 2026, 17:00 (UTC)" in email.text
        assert "Buy &lt;tea&gt;" in email.html
        assert task["id"] in email.text


def test_who_takes_a_task_themselves_is_not_told(app: Flask, time: Time, owner: Person) -> None:
    task = make_task(owner, assignee_id=str(owner.id))
    owner.patch(path_of(task), {"title": "Another"})
    tick(app)
    assert (told(owner), mailed(app)) == ([], [])


def test_a_change_of_the_assignee_tells_the_new_one_alone(
    app: Flask, owner: Person, teammate: Person, stranger: Person, task: dict[str, Any]
) -> None:
    owner.patch(path_of(task), {"assignee_id": str(stranger.id)})
    owner.patch(path_of(task), {"priority": "high"})
    tick(app)
    assert told(stranger) == [("task_assigned", "Assigned to you: Buy tea")]
    assert (told(teammate), told(owner)) == ([], [])


def test_who_lost_the_task_before_being_told_hears_nothing(
    app: Flask, owner: Person, stranger: Person, task: dict[str, Any]
) -> None:
    for assignee in (str(stranger.id), None):
        owner.patch(path_of(task), {"assignee_id": assignee})
    tick(app)
    assert told(stranger) == []


def test_of_a_deleted_task_nobody_is_told(
    app: Flask, owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    say(teammate, task, "Gone? @olivia")
    owner.delete(path_of(task))
    tick(app)
    assert (told(owner), mailed(app)) == ([], [])


def test_whose_task_is_late_is_told_once(
    app: Flask, time: Time, owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    owner.patch(path_of(task), {"due_date": "2026-11-20T10:00:00Z"})
    for _ in range(2):
        let_it_be_late(app, time)
    for person in (owner, teammate):
        assert told(person) == [("task_overdue", "Overdue: Buy tea")]
    assert sorted(mailed(app)) == sorted(("task_overdue", person.email) for person in (owner, teammate))


@pytest.mark.parametrize("change", [{"notify_overdue": False}, {"status": "done"}], ids=["unwanted", "done"])
def test_nobody_is_told_of_late_tasks_that_do_not_ask_for_it(
    app: Flask, time: Time, owner: Person, task: dict[str, Any], change: dict[str, Any]
) -> None:
    owner.patch(path_of(task), {"due_date": "2026-11-20T10:00:00Z", **change})
    let_it_be_late(app, time)
    assert told(owner) == []


def test_who_finishes_a_late_task_in_time_spares_the_others_the_message(
    app: Flask, time: Time, owner: Person, task: dict[str, Any]
) -> None:
    owner.patch(path_of(task), {"due_date": "2026-11-20T10:00:00Z"})
    time.pass_(hours=2)
    with app.app_context():
        mark_overdue()
    owner.patch(path_of(task), {"status": "done"})
    tick(app)
    assert told(owner) == []


def test_a_comment_is_told_to_all_others_who_have_to_do_with_the_task(
    app: Flask, owner: Person, teammate: Person, admin: Person, stranger: Person, task: dict[str, Any]
) -> None:
    say(admin, task, "First.")
    tick(app)
    say(teammate, task, "Second.")
    tick(app)
    title = "tariq commented: Buy tea"
    assert told(owner) == [("comment_added", title), ("comment_added", "ada commented: Buy tea")]
    assert told(teammate) == [("comment_added", "ada commented: Buy tea")]
    assert told(admin) == [("comment_added", title)]
    assert told(stranger) == []
    assert owner.get("/api/notifications").json["items"][0]["message"] == "Second."


def test_comments_are_mailed_to_those_alone_who_want_it(
    app: Flask, owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    say(teammate, task, "First.")
    tick(app)
    assert mailed(app) == []
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {"comment_added": True}}})
    say(teammate, task, "Second,\n**loud**.")
    tick(app)
    with app.app_context():
        (email,) = emails()
        assert (email.kind, email.recipient) == ("comment_added", owner.email)
        assert "  Second,\n  **loud**." in email.text


def test_who_is_mentioned_is_told_of_that_instead(
    app: Flask, owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    say(teammate, task, "@Olivia and @tariq, `@nobody`: look.")
    tick(app)
    assert told(owner) == [("mentioned", "tariq mentioned you: Buy tea")]
    assert told(teammate) == []
    assert mailed(app) == [("mentioned", owner.email)]


def test_who_does_not_see_the_task_hears_nothing_of_a_mention(
    app: Flask, owner: Person, admin: Person, stranger: Person, task: dict[str, Any]
) -> None:
    say(owner, task, "@sven @ada @nobody")
    tick(app)
    assert told(stranger) == []
    assert told(admin) == [("mentioned", "olivia mentioned you: Buy tea")]


def test_where_all_see_all_tasks_anybody_can_be_mentioned(
    app: Flask, owner: Person, stranger: Person, task: dict[str, Any]
) -> None:
    with settings_changed(app, team_sees_tasks=True):
        say(owner, task, "@sven")
        tick(app)
    assert told(stranger) == [("mentioned", "olivia mentioned you: Buy tea")]


def test_an_edit_tells_those_whom_it_mentions_anew(
    app: Flask, owner: Person, teammate: Person, admin: Person, task: dict[str, Any]
) -> None:
    comment = say(teammate, task, "@olivia")
    tick(app)
    path = f"{path_of(task)}/comments/{comment['id']}"
    teammate.patch(path, {"content": "@olivia @ada"})
    teammate.patch(path, {"content": "@olivia @ada!"})
    tick(app)
    for person in (owner, admin):
        assert told(person) == [("mentioned", "tariq mentioned you: Buy tea")]


def test_a_delivery_that_is_repeated_tells_once(
    app: Flask, owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    say(teammate, task, "@olivia")
    for _ in range(2):
        with app.app_context(), transaction():
            for event in session().query(Event).filter_by(type="comment.created"):
                telling.on_comment(event)
    tick(app)
    assert len(told(owner)) == len(mailed(app)) == 1


def test_who_is_given_many_tasks_at_once_is_mailed_about_none(
    app: Flask, owner: Person, teammate: Person
) -> None:
    given = [{"title": f"Part {number}", "assignee_id": str(teammate.id)} for number in range(11)]
    few, many = given[:10], given
    for tasks, number_of_mails in ((few, 10), (many, 10)):
        assert owner.post("/api/tasks/bulk", {"tasks": tasks}).status_code == 201
        tick(app)
        with app.app_context():
            assert len(emails()) == number_of_mails
    assert teammate.get("/api/notifications").json["total"] == 21
    newest = owner.get("/api/tasks").json["items"][0]
    (made,) = owner.get(f"/api/tasks/{newest['id']}/history").json["items"]
    assert "in_bulk" not in {change["field"] for change in made["changes"]}


def test_who_has_had_too_many_mails_sent_has_people_told_in_the_application_alone(
    app: Flask, time: Time, owner: Person, teammate: Person
) -> None:
    with app.app_context(), transaction():
        session().get_one(User, teammate.id).email_verified = True
    with settings_changed(app, user_mails_per_hour=2):
        tasks = [make_task(owner, title=f"t{number}", assignee_id=str(teammate.id)) for number in range(3)]
        tick(app)
        say(owner, tasks[0], "@tara, please")
        tick(app)
        assert len(told(teammate)) == 4
        assert mailed(app) == [("task_assigned", teammate.email)] * 2
        with app.app_context():
            assert {email.sender_id for email in emails()} == {owner.id}
