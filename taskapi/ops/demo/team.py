"""A small team in the middle of its work, made through the rooms' services as its people would."""

import json
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.accounts.actors import actor_of
from taskapi.accounts.errors import EmailTaken, UsernameTaken
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session, transaction
from taskapi.core.errors import Conflict
from taskapi.schedules import service as schedules
from taskapi.schedules.schemas import NewScheduleSchema
from taskapi.tasks import commenting, overdue, tagging
from taskapi.tasks import service as tasks
from taskapi.tasks.markdown import render
from taskapi.tasks.models import Task

if TYPE_CHECKING:
    from taskapi.accounts.models import User


class TeamExists(Conflict):
    """An account has a name of the demo team: it is here already, or somebody is called so."""

    code = "demo_team_exists"
    title = "Demo team exists"
    of_commands = True


def make_team(*, password_hash: str) -> "list[User]":
    """Make the team of ``team.json``, all or nothing.

    Raises:
        TeamExists
    """
    plan = json.loads(files(__package__).joinpath("team.json").read_text("utf-8"))
    with transaction():
        people = _make_people(plan["people"], password_hash)
        actors = {person.username: actor_of(person) for person in people}
        maker = actors[people[0].username]
        for name, color in plan["tags"].items():
            tagging.make_tag(maker, name=name, color=color)
        for task in plan["tasks"]:
            _make_task(task, actors)
        for schedule in plan["schedules"]:
            owner = actors[schedule.pop("owner")]
            schedules.create_schedule(actor=owner, **NewScheduleSchema().load(schedule))
    overdue.mark_overdue()
    return people


def _make_people(people: list[dict[str, Any]], password_hash: str) -> "list[User]":
    try:
        return [
            accounts.create_user(
                email=f"{person['username']}@demo.example.org", password_hash=password_hash, **person
            )
            for person in people
        ]
    except (EmailTaken, UsernameTaken) as error:
        raise TeamExists("The demo team is here already, or others have its names.") from error


def _make_task(plan: dict[str, Any], actors: dict[str, Actor]) -> None:
    names = ("title", "description", "priority", "tags", "city", "status")
    fields: dict[str, Any] = {name: plan[name] for name in names if name in plan}
    if plan.get("assignee"):
        fields["assignee_id"] = actors[plan["assignee"]].user_id
    if "due_in_days" in plan:
        # As people set them, at a full hour.
        due = clock.now() + timedelta(days=plan["due_in_days"])
        fields["due_date"] = due.replace(minute=0, second=0, microsecond=0)
    made = tasks.create_task(actor=actors[plan["creator"]], **fields)
    for author, content in plan.get("comments", ()):
        commenting.create_comment(actor=actors[author], task_id=made.id, content=render(content))
    _give_age(made.id, plan)


def _give_age(task_id: UUID, plan: dict[str, Any]) -> None:
    """Let the task be some days old, so that figures over time have something to show."""
    task = session().get_one(Task, task_id)
    task.created_at = clock.now() - timedelta(days=plan["age_days"])
    if task.completed_at is not None:
        task.completed_at = task.created_at + timedelta(days=plan["done_after_days"])
