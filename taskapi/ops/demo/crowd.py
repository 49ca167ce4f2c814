"""Very many people and tasks, for measuring: written in bulk, without a history of their own."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session, transaction
from taskapi.core.ids import new_id
from taskapi.ops.demo import texts
from taskapi.tasks.models import PRIORITIES, Task
from taskapi.tasks.search import index_tasks
from taskapi.tasks.tagging import TagBook, add_tags

BATCH = 1_000
# How far back the crowd's work goes.
YEARS = timedelta(days=730)


def make_crowd(*, people: int, tasks: int, seed: int, password_hash: str) -> Iterator[int]:
    """Make people who share tasks evenly; yields how many tasks there are after each batch.

    Args:
        seed: the same one makes the same work.
    """
    random = Random(seed)  # noqa: S311 - nothing secret
    names = texts.texts()["tags"]
    ids = _make_people(people, password_hash)
    with transaction():
        maker = Actor(user_id=ids[0], role="user", username="crowd")
        tags = [tag.id for tag in TagBook(maker, names).tags(names)]
    for start in range(0, tasks, BATCH):
        numbers = range(start, min(start + BATCH, tasks))
        with transaction():
            _write([_make_task(random, ids, number) for number in numbers], random, tags)
            session().expunge_all()
        yield numbers.stop


def _make_people(number: int, password_hash: str) -> list[UUID]:
    ids, mark = [], new_id().hex[-6:]
    for start in range(0, number, BATCH):
        with transaction():
            for place in range(start, min(start + BATCH, number)):
                name = f"crowd-{mark}-{place:05}"
                user = accounts.create_user(
                    email=f"{name}@example.org", username=name, password_hash=password_hash
                )
                ids.append(user.id)
    return ids


def _make_task(random: Random, people: Sequence[UUID], number: int) -> Task:
    now = clock.now()
    created = now - YEARS * random.random()
    due = created + timedelta(days=random.uniform(1, 60)) if random.random() < 0.7 else None
    status = _status(random, created, due, now)
    done = created + timedelta(hours=random.expovariate(1 / 72)) if status == "done" else None
    return Task(
        id=new_id(),
        title=texts.title(random),
        description=texts.description(random),
        status=status,
        earlier_status="todo" if status == "overdue" else None,
        priority=random.choices(PRIORITIES, (2, 5, 2, 1))[0],
        due_date=due,
        told_overdue=due if status == "overdue" else None,
        creator_id=people[number % len(people)],
        assignee_id=random.choice(people) if random.random() < 0.6 else None,
        created_at=created,
        updated_at=done or created,
        completed_at=min(done, now) if done else None,
    )


def _status(random: Random, created: datetime, due: datetime | None, now: datetime) -> str:
    if random.random() < min(0.95, (now - created) / timedelta(days=60)):
        return "done" if random.random() < 0.9 else "cancelled"
    if due is not None and due < now:
        return "overdue"
    return random.choice(("todo", "in_progress"))


def _write(tasks: Sequence[Task], random: Random, tags: Sequence[UUID]) -> None:
    session().add_all(tasks)
    session().flush()
    index_tasks(tasks)
    tagged = [(task.id, random.sample(tags, random.randint(1, 3))) for task in tasks if random.random() < 0.3]
    add_tags([(task_id, tag_id) for task_id, theirs in tagged for tag_id in theirs])
