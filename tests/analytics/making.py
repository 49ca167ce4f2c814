"""Tasks by the hundred for figures, and the same figures counted by Python."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.folding import folded
from taskapi.core.ids import new_id
from taskapi.tasks.models import NO_DUE_DATE, PRIORITIES, STATUSES, Task
from tests.people import Person

NOW = datetime(2026, 4, 15, 12, tzinfo=UTC)


def insert_tasks(app: Flask, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put tasks into the database as they are, without events; each as a dict of its columns."""
    full = [_with_defaults(row) for row in rows]
    with app.app_context(), transaction():
        session().execute(sa.insert(Task), full)
    return full


def _with_defaults(row: dict[str, Any]) -> dict[str, Any]:
    columns = dict.fromkeys(("assignee_id", "completed_at", "deleted_at", "due_date", "external_id", "city"))
    defaults = {"id": new_id(), "title": "Tea", "description": "", "status": "todo", "priority": "medium"}
    moments = {"created_at": NOW, "updated_at": NOW, "notify_overdue": True, "version": 1}
    full = {**columns, **defaults, **moments, **row}
    return {**full, "title_key": folded(full["title"]), "due_key": full["due_date"] or NO_DUE_DATE}


def random_tasks(
    app: Flask, people: list[Person], *, count: int = 300, seed: int = 6
) -> list[dict[str, Any]]:
    """All kinds of tasks of these people, made in the 60 days before ``NOW``."""
    chance = random.Random(seed)
    ids: list[UUID] = [person.id for person in people]
    return insert_tasks(app, [_random_task(chance, ids, number) for number in range(count)])


def _random_task(chance: random.Random, ids: list[UUID], number: int) -> dict[str, Any]:
    created_at = NOW - timedelta(microseconds=chance.randrange(60 * 86_400_000_000))
    status = chance.choice(STATUSES)
    taken = timedelta(microseconds=chance.randrange(1, 30 * 86_400_000_000))
    due = NOW + timedelta(minutes=chance.randrange(-5_000, 5_000))
    return {
        "title": f"Task {number}",
        "status": status,
        "priority": chance.choice(PRIORITIES),
        "creator_id": chance.choice(ids),
        "assignee_id": chance.choice([None, *ids]),
        "created_at": created_at,
        "due_date": chance.choice([None, due]),
        "completed_at": created_at + taken if status == "done" else None,
        "deleted_at": NOW if chance.random() < 0.1 else None,
    }


def seen_by(person: Person, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are not deleted and that the person sees."""
    living = [task for task in tasks if task["deleted_at"] is None]
    if person.actor.is_admin:
        return living
    return [task for task in living if person.id in (task["creator_id"], task["assignee_id"])]
