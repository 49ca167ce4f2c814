"""Large exports through a real server: whole, and in no more memory than small ones."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from taskapi.core.ids import new_id
from taskapi.tasks.models import NO_DUE_DATE, Task
from tests.e2e.installation import START_SECONDS, ApiUser, Installation, wait_for
from tests.e2e.test_large_files import _peak_memory, _registered

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

GROWTH_KIB = 60 * 1024
MANY = 100_000


@pytest.mark.parametrize("installation", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_100_000_tasks_come_out_in_little_memory(installation: Installation, format: str) -> None:  # noqa: A002
    installation.environment["WEB_CONCURRENCY"] = "1"
    installation.start("web")
    user: ApiUser = wait_for(lambda: _registered(installation), seconds=START_SECONDS, what="the start")
    me = UUID(user.get("/auth/me")["id"])
    insert_tasks(installation, me, 1_000)
    # What a first export loads stays in memory.
    download(user, format)
    before = _peak_memory(installation)
    insert_tasks(installation, me, MANY - 1_000)
    size = download(user, format)
    assert size > MANY * 20
    assert _peak_memory(installation) - before < GROWTH_KIB


def download(user: ApiUser, format: str) -> int:  # noqa: A002
    """How many bytes the export has; they are let go as they come."""
    path = f"{user.url}/analytics/export?format={format}"
    with user.session.get(path, timeout=600, stream=True) as answer:
        assert answer.ok, answer.text
        return sum(len(piece) for piece in answer.iter_content(65_536))


def insert_tasks(installation: Installation, owner_id: UUID, count: int) -> None:
    embedded = f"sqlite:///{installation.folder}/taskapi.db"
    engine = sa.create_engine(installation.environment.get("DATABASE_URL", embedded))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "id": new_id(),
            "creator_id": owner_id,
            "assignee_id": owner_id,
            "version": 1,
            "title": f"Task {number}",
            "title_key": f"task {number}",
            "description": "Some words " * 20,
            "status": "todo",
            "priority": "high",
            "due_key": NO_DUE_DATE,
            "notify_overdue": True,
            **dict.fromkeys(("created_at", "updated_at"), begin + timedelta(seconds=number)),
        }
        for number in range(count)
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(Task), rows)
    engine.dispose()
