"""Work items and what belongs to them: tags, comments, and the words they are found by."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from taskapi.core import clock
from taskapi.core.columns import HasId, Json, Ranked, UtcDateTime, partial_index
from taskapi.core.db import Base
from taskapi.core.folding import folded

STATUSES = ("todo", "in_progress", "done", "overdue", "cancelled")
PRIORITIES = ("low", "medium", "high", "urgent")
# Work that is still to be done; clients set the first two, the clock the third.
OPEN_STATUSES = ("todo", "in_progress", "overdue")
Status, Priority = Ranked(*STATUSES), Ranked(*PRIORITIES)
# Sorts what has no due date behind what has one.
NO_DUE_DATE = datetime(2200, 1, 1, tzinfo=UTC)
GIVEN = "creator_id <> assignee_id AND deleted_at IS NULL"
DUE = "due_date IS NOT NULL AND deleted_at IS NULL"
COMPLETED = "completed_at IS NOT NULL AND deleted_at IS NULL"
# In the order of its letters, whatever the database's language is.
SORTED_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class Task(HasId, Base):
    """Something to do.

    Attributes:
        due_key, title_key: what lists are sorted by; they follow ``due_date`` and ``title``.
        earlier_status: what an overdue task was before, and is again with a new due date.
        told_overdue: the due date that people have been told is past.
        weather: ``{temperature, condition}`` of ``city`` as of ``weather_at``.
        import_id: the import that made it, if one did.
        version: rises with each edit; comments, files and weather leave it.
    """

    __tablename__ = "tasks"

    title: Mapped[str] = mapped_column(sa.String(200))
    title_key: Mapped[str] = mapped_column(SORTED_TEXT)
    description: Mapped[str] = mapped_column(sa.Text, default="")
    status: Mapped[str] = mapped_column(Status, default="todo")
    earlier_status: Mapped[str | None] = mapped_column(Status)
    priority: Mapped[str] = mapped_column(Priority, default="medium")
    due_date: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_key: Mapped[datetime] = mapped_column(UtcDateTime, default=NO_DUE_DATE)
    notify_overdue: Mapped[bool] = mapped_column(default=True)
    told_overdue: Mapped[datetime | None] = mapped_column(UtcDateTime)
    creator_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    assignee_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    external_id: Mapped[str | None] = mapped_column(sa.String(200))
    city: Mapped[str | None] = mapped_column(sa.String(100))
    weather: Mapped[dict[str, Any] | None] = mapped_column(Json)
    weather_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    import_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("task_imports.id", ondelete="SET NULL"))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        sa.CheckConstraint("status BETWEEN 1 AND 5", name="status"),
        sa.CheckConstraint("priority BETWEEN 1 AND 4", name="priority"),
        partial_index("ix_tasks_creator", "creator_id", "created_at", "id", where="deleted_at IS NULL"),
        partial_index("ix_tasks_assignee", "assignee_id", "created_at", "id", where="deleted_at IS NULL"),
        # A page of somebody's tasks of a status, and how many there are, without reading them.
        partial_index(
            *("ix_tasks_creator_status", "creator_id", "status", "created_at", "id"),
            where="deleted_at IS NULL",
        ),
        # Most people give most of their tasks to themselves: walking over those would find nothing new.
        partial_index("ix_tasks_given", "assignee_id", "created_at", "id", where=GIVEN),
        partial_index("ix_tasks_given_status", "assignee_id", "status", "created_at", "id", where=GIVEN),
        partial_index("ix_tasks_created", "created_at", "id", where="deleted_at IS NULL"),
        partial_index("ix_tasks_updated", "updated_at", "id", where="deleted_at IS NULL"),
        partial_index("ix_tasks_due", "due_key", "id", where="deleted_at IS NULL"),
        # What a calendar shows of a person's tasks.
        partial_index("ix_tasks_creator_due", "creator_id", "due_date", where=DUE),
        partial_index("ix_tasks_assignee_due", "assignee_id", "due_date", where=DUE),
        partial_index("ix_tasks_priority", "priority", "id", where="deleted_at IS NULL"),
        partial_index("ix_tasks_status", "status", "id", where="deleted_at IS NULL"),
        partial_index("ix_tasks_title", "title_key", "id", where="deleted_at IS NULL"),
        # What the clock makes overdue: todo and in_progress.
        partial_index(
            *("ix_tasks_falling_due", "status", "due_date"),
            where="deleted_at IS NULL AND status IN (1, 2)",
        ),
        # What was completed in each period of many is counted without reading a task.
        partial_index("ix_tasks_completed", "completed_at", where=COMPLETED),
        partial_index("ix_tasks_creator_completed", "creator_id", "completed_at", where=COMPLETED),
        partial_index("ix_tasks_assignee_completed", "assignee_id", "completed_at", where=COMPLETED),
        partial_index("ix_tasks_deleted", "deleted_at", "id", where="deleted_at IS NOT NULL"),
        partial_index(
            "ix_tasks_external",
            "creator_id",
            "external_id",
            where="external_id IS NOT NULL AND deleted_at IS NULL",
            unique=True,
        ),
        partial_index(
            "ix_tasks_weather_missing", "updated_at", where="city IS NOT NULL AND weather_at IS NULL"
        ),
        partial_index("ix_tasks_import", "import_id", where="import_id IS NOT NULL"),
    )

    @validates("title")
    def _follow_title(self, _name: str, title: str) -> str:
        self.title_key = folded(title)
        return title

    @validates("due_date")
    def _follow_due_date(self, _name: str, due_date: datetime | None) -> datetime | None:
        self.due_key = due_date or NO_DUE_DATE
        return due_date

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES


class Tag(HasId, Base):
    """A word for tasks, one for the whole installation; two that differ in case only are one."""

    __tablename__ = "tags"

    name: Mapped[str] = mapped_column(sa.String(50))
    name_key: Mapped[str] = mapped_column(SORTED_TEXT, unique=True)
    color: Mapped[str] = mapped_column(sa.String(7))
    creator_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    @validates("name")
    def _follow_name(self, _name: str, name: str) -> str:
        self.name_key = name.casefold()
        return name


class TaskTag(Base):
    """A task has a tag."""

    __tablename__ = "task_tags"

    task_id: Mapped[UUID] = mapped_column(sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[UUID] = mapped_column(sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True)

    __table_args__ = (sa.Index("ix_task_tags_tag", "tag_id", "task_id"),)


class Comment(HasId, Base):
    """What somebody says about a task: Markdown, and the HTML that is safe to show.

    Attributes:
        author_id: None once the author's account is closed.
    """

    __tablename__ = "comments"

    task_id: Mapped[UUID] = mapped_column(sa.ForeignKey("tasks.id", ondelete="CASCADE"))
    author_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    content: Mapped[str] = mapped_column(sa.Text)
    content_html: Mapped[str] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    edited_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        sa.Index("ix_comments_task", "task_id", "created_at", "id"),
        partial_index("ix_comments_author", "author_id", where="author_id IS NOT NULL"),
    )


class TaskWords(Base):
    """The words a task is found by: of its title, description and comments (see ``search``)."""

    __tablename__ = "task_words"

    # SQLite's index of words refers to rows by number.
    id: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    task_id: Mapped[UUID] = mapped_column(sa.ForeignKey("tasks.id", ondelete="CASCADE"), unique=True)
    words: Mapped[str] = mapped_column(sa.Text)
