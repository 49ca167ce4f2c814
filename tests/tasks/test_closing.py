"""What becomes of tasks when an account is closed"""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.accounts.errors import TokenRevoked
from taskapi.accounts.models import User
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.tasks import closing, service
from taskapi.tasks.models import Comment, Task, TaskTag, TaskWords
from tests.accounts.test_close_account import close, everything_told
from tests.files.making import row_of, store
from tests.people import Person
from tests.tasks.making import make_task, path_of, titles
from tests.work import tick


def comment(app: Flask, person: Person, task: dict[str, Any], content: str = "Well") -> UUID:
    """A comment of the person's, which no search finds."""
    with app.app_context(), transaction():
        said = {"content": content, "content_html": content}
        row = Comment(task_id=UUID(task["id"]), author_id=person.id, **said)
        session().add(row)
        session().flush()
        return row.id


def everything_of(app: Flask) -> list[int | None]:
    with app.app_context():
        tables = (Task, Comment, TaskTag, TaskWords)
        return [session().scalar(sa.select(sa.func.count()).select_from(table)) for table in tables]


def test_what_was_theirs_alone_is_gone_for_good(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    mine = make_task(owner, title="Quux", tags=["home"], assignee_id=str(owner.id), external_id="quux")
    gone = make_task(owner, title="Quux", assignee_id=str(teammate.id))
    owner.delete(path_of(gone))
    comment(app, admin, mine, "quux")
    tick(app)
    close(owner)
    assert everything_of(app) == [0, 0, 0, 0]
    with app.app_context():
        assert "quux" not in everything_told().lower()
        purged = session().scalars(sa.select(Event).where(Event.type == "task.purged")).all()
    assert {(str(event.subject_id), event.actor_id) for event in purged} == {
        (mine["id"], owner.id),
        (gone["id"], owner.id),
    }
    assert titles(admin, q="quux") == []


def test_what_somebody_else_is_to_do_becomes_theirs(app: Flask, owner: Person, teammate: Person) -> None:
    task = make_task(owner, assignee_id=str(teammate.id), external_id="7", tags=["home"])
    make_task(teammate, external_id="7")
    assert titles(teammate, creator_id=str(teammate.id)) == [task["title"]]
    close(owner)
    shown = teammate.get(path_of(task)).json
    assert (shown["creator_id"], shown["assignee_id"]) == (str(teammate.id), str(teammate.id))
    assert (shown["external_id"], shown["version"], shown["tags"]) == (None, 2, task["tags"])
    assert len(titles(teammate, creator_id=str(teammate.id))) == 2
    assert teammate.delete(path_of(task)).status_code == 204


def test_who_is_not_active_inherits_nothing(app: Flask, owner: Person, teammate: Person) -> None:
    make_task(owner, assignee_id=str(teammate.id))
    with app.app_context(), transaction():
        session().get_one(User, teammate.id).is_active = False
    close(owner)
    assert everything_of(app)[0] == 0


def test_what_they_were_to_do_is_nobodys_and_found_by_its_creator(
    app: Flask, owner: Person, teammate: Person
) -> None:
    task = make_task(owner, title="Tea", assignee_id=str(teammate.id))
    deleted = make_task(owner, title="Coffee", assignee_id=str(teammate.id))
    owner.delete(path_of(deleted))
    close(teammate)
    shown = owner.get(path_of(task)).json
    assert (shown["assignee_id"], shown["version"]) == (None, 2)
    assert titles(owner, assignee_id=str(teammate.id)) == []
    assert titles(owner, q="tea") == ["Tea"]
    with app.app_context():
        words = session().scalars(sa.select(TaskWords.words)).all()
        event = session().scalars(sa.select(Event).where(Event.type == "task.updated")).first()
    assert all(teammate.id.hex[-6:] not in found for found in words)
    assert event is not None
    assert (event.before, event.after) == ({"assignee_id": str(teammate.id)}, {"assignee_id": None})
    assert owner.post(f"{path_of(deleted)}/restore").json["assignee_id"] is None


def test_what_they_said_elsewhere_stays_without_their_name(
    app: Flask, owner: Person, teammate: Person
) -> None:
    task = make_task(owner)
    comment(app, teammate, task, "Done, @olivia")
    before = owner.get(path_of(task))
    assert before.json["comments"][0]["author"]["username"] == "tariq"
    close(teammate)
    after = owner.get(path_of(task), headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    said = after.json["comments"][0]
    assert (said["author"], said["content"]) == (None, "Done, @olivia")


def test_files_of_others_are_theirs_alone_then(app: Flask, owner: Person, teammate: Person) -> None:
    task = make_task(owner)
    mine, theirs = (store(person, task_id=UUID(task["id"])) for person in (owner, teammate))
    close(owner)
    assert row_of(app, mine) is None
    left = row_of(app, theirs)
    assert left is not None
    assert left.task_id is None


def test_histories_keep_no_text_of_theirs(app: Flask, owner: Person, teammate: Person) -> None:
    task = make_task(owner, title="Quux", assignee_id=str(teammate.id))
    owner.patch(path_of(task), {"title": "Tea", "description": "quux"})
    owner.patch(path_of(task), {"description": ""})
    tick(app)
    close(owner)
    with app.app_context():
        assert "quux" not in everything_told().lower()


def test_others_tasks_stay_as_they_are(owner: Person, teammate: Person) -> None:
    task = make_task(teammate)
    close(owner)
    assert teammate.get(path_of(task)).json == task


def test_many_are_settled_in_batches_with_few_statements(
    app: Flask, owner: Person, teammate: Person, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for person, other in ((owner, teammate), (teammate, owner)):
        tasks: list[dict[str, Any]] = [{"title": f"{number}"} for number in range(60)]
        tasks += [{"title": f"{number}", "assignee_id": str(other.id)} for number in range(60)]
        assert person.post("/api/tasks/bulk", {"tasks": tasks}).status_code == 201
    monkeypatch.setattr(closing, "BATCH", 50)
    statements.clear()
    assert close(owner).status_code == 204
    assert len(statements) < 150
    assert everything_of(app)[0] == 180
    assert teammate.get(f"/api/tasks?creator_id={teammate.id}").json["total"] == 180
    assert titles(teammate, q="59") == ["59"] * 3


def test_who_is_being_closed_makes_nothing_more(app: Flask, owner: Person) -> None:
    close(owner)
    with app.app_context(), pytest.raises(TokenRevoked), transaction():
        # Let in before that, and kept waiting by it.
        service.create_task(actor=owner.actor, title="Late")
    assert everything_of(app)[0] == 0
