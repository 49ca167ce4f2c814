"""Finding tasks by words: cut and folded here, so that both databases find the same.

A task's row holds each word of its title, description and comments once; and once more for each of
the two people it belongs to, with their mark in front. Who looks for a word in their own tasks
looks for the marked one, and meets nobody else's.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.folding import folded
from taskapi.core.inserting import insert_rows
from taskapi.core.upserts import INSERTS
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
# PostgreSQL keeps a megabyte of words in a row (2^20 bytes); each stands there up to three times.
MAX_BYTES = 1_000_000
# Of what was said of a task so much is read again when the task changes, the newest of it.
MAX_READ = 2_000_000
# Stands before the mark of a person; no word begins with it, and for SQLite it is a letter.
MARK = "\u00b7"
MARK_BYTES = 8


def words_of(*texts: str) -> list[str]:
    """The words of the texts, each once, in the order in which they come; the first of very many."""
    return _words_within(MAX_BYTES, *texts)


def _words_within(room: int, *texts: str, known: Iterable[str] = ()) -> list[str]:
    """Those of the words that are not known yet, as far as there is room for so many bytes."""
    found: list[str] = []
    seen = set(known)
    for text in texts:
        for match in WORD.finditer(folded(text)):
            word = match[0][:MAX_WORD_LENGTH]
            if word in seen:
                continue
            room -= _room_of(word)
            if room < 0:
                return found
            seen.add(word)
            found.append(word)
    return found


def _room_of(word: str) -> int:
    """What a word takes by itself, and with the marks of two people."""
    return 3 * len(word.encode()) + 2 * MARK_BYTES


def matches(actor: Actor, text: str) -> sa.ColumnElement[bool]:
    """Whether each word of ``text`` begins a word of the task, as far as the actor may see it."""
    wanted = words_of(text)[:MAX_SEARCHED_WORDS]
    if not wanted:
        return sa.false()
    if sees_everything(actor):
        return Task.id.in_(_ids_with(wanted))
    mark = mark_of(actor.user_id)
    marked = _ids_with([mark + word for word in wanted])
    if session().get_bind().dialect.name != "postgresql":
        return Task.id.in_(marked)
    # An array is made first: PostgreSQL, which expects thousands, would read the words of all tasks of
    # the actor instead of asking its index for the few that have these.
    return Task.id == sa.any_(sa.func.array(marked.scalar_subquery()))


def _ids_with(words: list[str]) -> sa.Select[UUID]:
    return sa.select(TaskWords.task_id).where(_hold(words))


def mark_of(user_id: UUID) -> str:
    """What stands before a person's words: two people may share one, as visibility is checked besides."""
    return f"{MARK}{user_id.hex[-6:]}"


def index_tasks(tasks: Iterable[Task], comments: dict[UUID, list[str]] | None = None) -> None:
    """Note the words of tasks; call it whenever what they are made of has changed."""
    said = comments or {}
    rows = [{"task": task.id, "text": _text_of(task, said.get(task.id, []))} for task in tasks]
    if rows:
        insert_rows(_note, session().get_bind().dialect.name, rows=rows, later=True)


def _note(database: str) -> sa.Insert:
    task, text = sa.bindparam("task", type_=sa.Uuid()), sa.bindparam("text", type_=sa.Text())
    insert = INSERTS[database](TaskWords).values(task_id=task, words=text).inline()
    newest = {"words": insert.excluded.words}
    return insert.on_conflict_do_update(index_elements=[TaskWords.task_id], set_=newest)


def index_again(task: Task) -> None:
    """Note the words of a task that may have comments."""
    _lock_words(task.id)
    # As they are now: who held the lock may have changed them.
    session().refresh(task)
    index_tasks([task], _said_of([task.id]))


def index_all_again(tasks: Sequence[Task]) -> None:
    """The same for many, whose rows are locked, with few statements."""
    ids = [task.id for task in tasks]
    locked = sa.select(TaskWords.id).where(TaskWords.task_id.in_(ids)).order_by(TaskWords.task_id)
    session().execute(locked.with_for_update())
    index_tasks(tasks, _said_of(ids))


def _said_of(task_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """The comments of tasks, as they came; of very many the newest."""
    # Here PostgreSQL knows it without reading the text.
    size = sa.func.octet_length if session().get_bind().dialect.name == "postgresql" else sa.func.length
    newest_first = (Comment.created_at.desc(), Comment.id.desc())
    so_far = sa.func.sum(size(Comment.content)).over(partition_by=Comment.task_id, order_by=newest_first)
    sized = sa.select(Comment.id, so_far.label("so_far")).where(Comment.task_id.in_(task_ids)).subquery()
    found = sa.select(Comment.task_id, Comment.content).join(sized, sized.c.id == Comment.id)
    said: dict[UUID, list[str]] = {task_id: [] for task_id in task_ids}
    for task_id, content in session().execute(
        found.where(sized.c.so_far <= MAX_READ).order_by(Comment.created_at, Comment.id)
    ):
        said[task_id].append(content)
    return said


def index_also(task: Task, text: str) -> None:
    """Note the words of a new comment, without reading those that are there already."""
    row = _lock_words(task.id)
    if row is None:
        return index_again(task)
    session().refresh(task)
    known = row.words.split()
    own = [word for word in known if not word.startswith(MARK)]
    room = MAX_BYTES - sum(map(_room_of, own))
    new = _words_within(room, text, known=own)
    if new:
        row.words = " ".join([*known, *new, *_marked(task, new)])
        session().flush()
    return None


def _lock_words(task_id: UUID) -> TaskWords | None:
    """The words of a task; whoever changes them waits here, and then reads what they are made of."""
    statement = sa.select(TaskWords).where(TaskWords.task_id == task_id).with_for_update()
    return session().scalar(statement.execution_options(populate_existing=True))


def _text_of(task: Task, comments: list[str]) -> str:
    words = words_of(task.title, task.description, *comments)
    return " ".join([*words, *_marked(task, words)])


def _marked(task: Task, words: list[str]) -> list[str]:
    people = {task.creator_id, task.assignee_id} - {None}
    return [mark_of(person) + word for person in people if person for word in words]


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
