"""What stands in somebody's calendar: their tasks by due date, and when their schedules fire next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.core.access import Actor
from taskapi.schedules.coming import Coming, coming_runs
from taskapi.tasks.due import DueTask, due_around

Kind: TypeAlias = Literal["vevent", "vtodo"]
KINDS: tuple[Kind, ...] = ("vevent", "vtodo")
# What lies further away is of no use in a calendar; programs refuse large ones.
BACK, AHEAD, FIRE_TIMES_AHEAD = timedelta(days=90), timedelta(days=730), timedelta(days=60)
MAX_TASKS, MAX_SCHEDULES, MAX_FIRE_TIMES, FIRE_TIMES_EACH = 2_000, 50, 300, 10
MAX_DESCRIPTION = 1_000
# RFC 5545, 3.8.1.9: 1 is the highest, 5 in the middle, 9 the lowest.
PRIORITIES = {"urgent": 1, "high": 3, "medium": 5, "low": 9}
MARKS = {"urgent": "!! ", "high": "! "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A moment with a name.

    Attributes:
        uid: the same for the same thing for ever.
        zone: of the person or schedule that chose the time.
        mark: stands before the title where nothing else can say it.
        version: rises with each change.
        task_status: None for what is no task.
    """

    uid: str
    at: datetime
    zone: str
    title: str
    mark: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    priority: int = 0
    version: int
    created_at: datetime
    changed_at: datetime
    task_status: str | None = None
    completed_at: datetime | None = None


def entries_for(owner: Actor, *, kind: Kind, now: datetime) -> tuple[Entry, ...]:
    """The owner's entries, in order of time.

    Tasks are those that they made or were given, also where they may see all others'. Fire times
    are nobody's to do, so to-dos are tasks alone.
    """
    found = list(_of_tasks(owner, now))
    if kind == "vevent":
        found += _of_schedules(owner, now)
    return tuple(sorted(found, key=lambda entry: (entry.at, entry.uid)))


def _of_tasks(owner: Actor, now: datetime) -> Iterator[Entry]:
    due = due_around(user_id=owner.user_id, moment=now, back=BACK, ahead=AHEAD, limit=MAX_TASKS)
    others = {one.task.assignee_id for one in due} - {owner.user_id, None}
    names = accounts.usernames(user_ids={person for person in others if person})
    return (_task_entry(one, owner, names) for one in due)


def _task_entry(due: DueTask, owner: Actor, names: Mapping[UUID, str]) -> Entry:
    task = due.task
    assert task.due_date is not None
    return Entry(
        uid=f"task-{task.id}@taskapi",
        at=task.due_date,
        zone=owner.timezone,
        title=task.title,
        mark={"done": "✓ ", "overdue": "⚠ "}.get(task.status) or MARKS.get(task.priority, ""),
        description=_about_task(due, names),
        tags=tuple(due.tags),
        priority=PRIORITIES[task.priority],
        version=task.version,
        created_at=task.created_at,
        changed_at=task.updated_at,
        task_status=task.status,
        completed_at=task.completed_at,
    )


def _about_task(due: DueTask, names: Mapping[UUID, str]) -> str:
    task = due.task
    text = task.description.strip()
    if len(text) > MAX_DESCRIPTION:
        text = f"{text[:MAX_DESCRIPTION]}…"
    facts = [f"Status: {task.status.replace('_', ' ')}", f"Priority: {task.priority}"]
    if task.assignee_id is not None and task.assignee_id in names:
        facts.append(f"Assigned to @{names[task.assignee_id]}")
    return "\n\n".join(filter(None, (text, " · ".join(facts))))


def _of_schedules(owner: Actor, now: datetime) -> Iterator[Entry]:
    coming = coming_runs(
        owner_id=owner.user_id,
        after=now,
        until=now + FIRE_TIMES_AHEAD,
        schedules=MAX_SCHEDULES,
        each=FIRE_TIMES_EACH,
    )
    return map(_fire_entry, coming[:MAX_FIRE_TIMES])


def _fire_entry(coming: Coming) -> Entry:
    schedule, at = coming.schedule, coming.at
    return Entry(
        uid=f"schedule-{schedule.id}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}@taskapi",
        at=at,
        zone=schedule.timezone,
        title=schedule.name,
        mark="⏱ ",
        description=f"Action: {schedule.action}",
        version=schedule.version,
        created_at=schedule.created_at,
        changed_at=schedule.updated_at,
    )
