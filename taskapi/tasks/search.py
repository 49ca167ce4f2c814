"""Finding tasks by words: cut and folded here, so that both databases find the same.

A task's row holds each word of its title, description and comments once; and once more for each of
the two people it belongs to, with their mark in front. Who looks for a word in their own tasks
looks for the marked one, and meets nobody else's.
"""

import re
from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY

from taskapi.core.access import Actor
from taskapi.core.db import insert_into, session
from taskapi.core.folding import folded
from taskapi.core.visibility import sees_everything
from taskapi.tasks.models import Comment, Task, TaskWords

# Chinese and Japanese part no words with blanks, so each of their letters is one; so are symbols.
WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
    r"|[\u2600-\u27bf\U0001f000-\U0001faff]"
    r"|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]+"
)
MAX_WORD_LENGTH = 40
MAX_SEARCHED_WORDS = 20
# PostgreSQL keeps a megabyte of words in a row, and each word stands there up to three times.
MAX_WORDS_BYTES = 200_000
# Stands before the mark of a person; no word begins with it, and for SQLite it is a letter.
MARK = "\u00b7"


def words_of(*texts: str) -> list[str]:
    """The words of the texts, each once, in the order in which they come; the first of very many."""
    found: dict[str, None] = {}
    room = MAX_WORDS_BYTES
    for text in texts:
        for match in WORD.finditer(folded(text)):
            word = match[0][:MAX_WORD_LENGTH]
            if word in found:
                continue
            room -= len(word.encode()) + 1
            if room < 0:
                return list(found)
            found[word] = None
    return list(found)


def matches(actor: Actor, text: str) -> sa.ColumnElement[bool]:
    """Whether each word of ``text`` begins a word of the task, as far as the actor may see it."""
    wanted = words_of(text)[:MAX_SEARCHED_WORDS]
    if not wanted:
        return sa.false()
    mark = "" if sees_everything(actor) else mark_of(actor.user_id)
    return Task.id.in_(sa.select(TaskWords.task_id).where(_hold([mark + word for word in wanted])))


def mark_of(user_id: UUID) -> str:
    """What stands before a person's words: two people may share one, as visibility is checked besides."""
    return f"{MARK}{user_id.hex[-6:]}"


def index_tasks(tasks: Iterable[Task], comments: dict[UUID, list[str]] | None = None) -> None:
    """Note the words of tasks; call it whenever what they are made of has changed."""
    said = comments or {}
    rows = [{"task_id": task.id, "words": _text_of(task, said.get(task.id, []))} for task in tasks]
    if not rows:
        return
    insert = insert_into(TaskWords)
    newest = {"words": insert.excluded.words}
    statement = insert.on_conflict_do_update(index_elements=[TaskWords.task_id], set_=newest)
    session().execute(statement, rows)


def index_again(task: Task) -> None:
    """Note the words of a task that may have comments."""
    said = sa.select(Comment.content).where(Comment.task_id == task.id).order_by(Comment.created_at)
    index_tasks([task], {task.id: list(session().scalars(said))})


def _text_of(task: Task, comments: list[str]) -> str:
    words = words_of(task.title, task.description, *comments)
    people = {task.creator_id, task.assignee_id} - {None}
    marked = [mark_of(person) + word for person in people if person for word in words]
    return " ".join([*words, *marked])


def _hold(words: list[str]) -> sa.ColumnElement[bool]:
    if session().get_bind().dialect.name == "postgresql":
        vector = sa.func.array_to_tsvector(sa.func.string_to_array(TaskWords.words, sa.literal_column("' '")))
        # No letter of a word needs escaping between these quotes.
        query = " & ".join(f"'{word}':*" for word in words)
        return vector.op("@@")(sa.cast(query, TSQUERY))
    index = sa.table("task_words_index", sa.column("rowid"), sa.column("task_words_index"))
    query = " ".join(f'"{word}"*' for word in words)
    found = sa.select(index.c.rowid).where(index.c.task_words_index.op("MATCH")(query))
    return TaskWords.id.in_(found)
