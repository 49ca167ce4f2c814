"""Making tasks: one or a thousand, checked first, then written with few statements."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.accounts.errors import TokenRevoked
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.errors import ValidationFailed
from taskapi.core.ids import new_id
from taskapi.tasks import queries
from taskapi.tasks.changes import TAKEN, insert, record_change
from taskapi.tasks.models import Tag, Task
from taskapi.tasks.search import index_tasks
from taskapi.tasks.state import state_of
from taskapi.tasks.tagging import TagBook, add_tags
from taskapi.tasks.weather_filling import fill_later

Messages = dict[str, list[str]]
# Whose people are mailed about each; of more at once they are told in the application alone.
MAILED_AT_ONCE = 10
# What a task is of which nothing else is said.
LEFT_OUT: dict[str, Any] = {
    "description": "",
    "status": "todo",
    "priority": "medium",
    "due_date": None,
    "notify_overdue": True,
    "version": 1,
}
NO_SUCH_USER = "There is no active user with this id."
NO_SUCH_TAG = "There is no tag with this id."


class Drafts:
    """What people want to become tasks, and what speaks against each.

    Args:
        together: whether all that is inserted waits for the end of the transaction (``core/together``);
            what speaks against their people is raised then.

    Attributes:
        errors: by index, field → messages, as in a 422.

    Raises:
        TokenRevoked: their account was closed or switched off this moment.
    """

    def __init__(self, actor: Actor, drafts: Sequence[dict[str, Any]], *, together: bool = False) -> None:
        self._actor, self._drafts, self._together = actor, drafts, together
        self._tags = TagBook(actor, (name for draft in drafts for name in draft.get("tags", ())))
        self.errors: dict[int, Messages] = {}
        self._check_tags()
        self._check_external_ids()
        self._check_people()

    def count_new_tags(self) -> int:
        """How many tags there would be more."""
        return len(self._tags.new_names(name for draft in self._drafts for name in draft.get("tags", ())))

    def write(self) -> list[tuple[Task, list[Tag]]]:
        """Make tasks of those that nothing speaks against, in their order; each with its tags.

        Raises:
            ExternalIdTaken: somebody was quicker with one of them.
        """
        good = [draft for index, draft in enumerate(self._drafts) if index not in self.errors]
        tasks = [new_task(self._actor, draft) for draft in good]
        # In one order: of two who bring the same ones, neither waits for the other in a circle.
        insert(sorted(tasks, key=lambda task: task.external_id or ""), later=self._together)
        self._tags.make_unknown(name for draft in good for name in draft.get("tags", ()))
        tags = [self._tags.tags(draft.get("tags", ())) for draft in good]
        add_tags([(task.id, tag.id) for task, theirs in zip(tasks, tags, strict=True) for tag in theirs])
        index_tasks(tasks)
        fill_later(tasks)
        made = list(zip(tasks, tags, strict=True))
        for task, theirs in made:
            _record_created(self._actor, task, theirs, in_bulk=len(tasks) > MAILED_AT_ONCE)
        return made

    def _check_people(self) -> None:
        wanted = {draft["assignee_id"] for draft in self._drafts if draft.get("assignee_id")}
        # Their maker's account must not close meanwhile either.
        people = wanted | {self._actor.user_id}
        # All that is wrong is said at once.
        if self._together and not self.errors:
            accounts.require_active(user_ids=people, judge=self._refuse)
        else:
            self._judge_people(accounts.lock_active(user_ids=people))

    def _refuse(self, active: set[UUID]) -> None:
        self._judge_people(active)
        for errors in self.errors.values():
            raise ValidationFailed(errors)

    def _judge_people(self, active: set[UUID]) -> None:
        if self._actor.user_id not in active:
            raise TokenRevoked("The session has ended.")
        for index, draft in enumerate(self._drafts):
            if draft.get("assignee_id") and draft["assignee_id"] not in active:
                self._object(index, "assignee_id", NO_SUCH_USER)

    def _check_tags(self) -> None:
        for index, draft in enumerate(self._drafts):
            if self._tags.unknown_ids(draft.get("tags", ())):
                self._object(index, "tags", NO_SUCH_TAG)

    def _check_external_ids(self) -> None:
        wanted = Counter(draft["external_id"] for draft in self._drafts if draft.get("external_id"))
        known = queries.known_external_ids(self._actor.user_id, wanted) if wanted else set()
        seen: set[str] = set()
        for index, draft in enumerate(self._drafts):
            external_id = draft.get("external_id")
            if external_id is None:
                continue
            if external_id in known or external_id in seen:
                self._object(index, "external_id", TAKEN)
            seen.add(external_id)

    def _object(self, index: int, field: str, message: str) -> None:
        self.errors.setdefault(index, {})[field] = [message]


def new_task(actor: Actor, draft: dict[str, Any]) -> Task:
    """A task as somebody wants it, not yet in the database."""
    now = clock.now()
    fields = {name: value for name, value in draft.items() if name not in ("tags", "weather")}
    # An import knows when a task was made and completed elsewhere.
    times = {"created_at": now, "completed_at": now if draft.get("status") == "done" else None}
    task = Task(creator_id=actor.user_id, updated_at=now, **{"id": new_id(), **LEFT_OUT, **times, **fields})
    if draft.get("weather"):
        task.weather, task.weather_at = draft["weather"], now
    return task


def _record_created(actor: Actor, task: Task, tags: list[Tag], *, in_bulk: bool) -> None:
    # Who is told of new tasks need not be told of each row of a table, nor mailed of each of a batch.
    origin = {"import_id": str(task.import_id)} if task.import_id else {"in_bulk": True} if in_bulk else {}
    record_change(actor, task, "task.created", after={**state_of(task, tags), **origin})


def people_of(task: Task) -> set[UUID]:
    """Whose task it is."""
    return {person for person in (task.creator_id, task.assignee_id) if person}
