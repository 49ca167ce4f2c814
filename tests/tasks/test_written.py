"""Tasks as JSON that the database writes are what the schemas make of them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.json import dump_json
from taskapi.files.models import StoredFile
from taskapi.tasks import written
from taskapi.tasks.models import Comment, Task
from taskapi.tasks.schemas import TaskSchema
from taskapi.tasks.shown import IN_FULL, in_lists, with_authors
from tests.people import Person
from tests.tasks.making import make_task, path_of
from tests.tasks.test_attachments import attached

STRANGE = 'Zoë "said"\\ \u00e9\U0001f600\u2028 </script> \u007f'
MOMENTS = (
    datetime(2026, 4, 1, 9, 0, tzinfo=UTC),
    datetime(2026, 4, 1, 9, 0, 0, 500, tzinfo=UTC),
    datetime(2026, 4, 1, 9, 0, 0, 120_000, tzinfo=UTC),
    datetime(1970, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC),
    datetime(2199, 12, 31, 23, 59, 59, 1_000, tzinfo=UTC),
)
ROWS: tuple[dict[str, Any], ...] = (
    {"version": 7},
    {"title": STRANGE, "description": f"{STRANGE}\n\tand more", "city": STRANGE, "external_id": STRANGE},
    {"description": "", "status": "done", "priority": "urgent", "notify_overdue": False},
    {"weather": {"temperature": -3.5, "condition": STRANGE}},
    {"weather": {"temperature": 21.0, "condition": "Clear"}, "completed_at": MOMENTS[2]},
    *({"created_at": moment, "updated_at": moment, "due_date": moment} for moment in MOMENTS),
)


@pytest.mark.parametrize("columns", ROWS, ids=[f"row{number}" for number in range(len(ROWS))])
def test_a_row_is_the_same_to_the_byte(app: Flask, owner: Person, columns: dict[str, Any]) -> None:
    task = make_task(owner, tags=["Zoë", 'a "b"', "home"])
    with app.app_context():
        with transaction():
            session().execute(sa.update(Task).where(Task.id == UUID(task["id"])).values(**columns))
        (shown,) = in_lists(session().scalars(sa.select(Task)).all())
        by_schema = dump_json(TaskSchema().dump(shown)).decode()
        assert session().scalar(sa.select(written.row_of_list(written.TASKS))) == by_schema
    listed = owner.get("/api/tasks")
    assert listed.text.startswith(f'{{"items":[{by_schema}],"page":1,')


def test_a_task_with_all_that_belongs_to_it_is_the_same_to_the_byte(app: Flask, owner: Person) -> None:
    task = make_task(owner, tags=["Zoë", "home"])
    for content in (f"**{STRANGE.replace(chr(127), '')}**", "- [x] done\n- `code`"):
        owner.post(f"{path_of(task)}/comments", {"content": content})
    attached(owner, task)
    weather = {"temperature": -3.5, "condition": STRANGE}
    with app.app_context():
        with transaction():
            session().execute(sa.update(Task).values(weather=weather))
        (shown,) = in_lists(session().scalars(sa.select(Task)).all())
        oldest_first = sa.select(Comment).order_by(Comment.created_at)
        shown.comments = with_authors(session().scalars(oldest_first).all())
        shown.files = session().scalars(sa.select(StoredFile)).all()
        assert (len(shown.comments), len(shown.files)) == (2, 1)
        by_schema = dump_json(IN_FULL.dump(shown))
    assert owner.get(path_of(task)).data == by_schema


def test_a_new_task_is_answered_as_it_will_be_read(owner: Person) -> None:
    fields = {
        "title": STRANGE.replace("\u007f", ""),
        "tags": ["Zoë", "home"],
        "due_date": "2030-01-01",
        "city": "Łódź",
    }
    made = owner.post("/api/tasks", fields)
    read = owner.get(path_of(made.json))
    assert (made.data, made.headers["ETag"]) == (read.data, read.headers["ETag"])


def test_an_edited_comment_and_a_renamed_author_make_another_tag(owner: Person) -> None:
    task = make_task(owner)
    comment = owner.post(f"{path_of(task)}/comments", {"content": "Soon"}).json
    tags = [owner.get(path_of(task)).headers["ETag"]]
    owner.patch(f"{path_of(task)}/comments/{comment['id']}", {"content": "Later"})
    tags.append(owner.get(path_of(task)).headers["ETag"])
    owner.patch("/api/auth/me", {"full_name": "Olivia O."})
    tags.append(owner.get(path_of(task)).headers["ETag"])
    assert len(set(tags)) == 3
