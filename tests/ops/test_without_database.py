"""flask worker, flask scheduler and flask db upgrade when the database does not answer"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import free_port
from tests.ops.conftest import REPOSITORY


@pytest.mark.parametrize("command", ["worker", "scheduler", "db upgrade"])
def test_it_ends_with_one_clear_line(tmp_path: Path, command: str) -> None:
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME") or "COV" in key}
    settings = {
        "PYTHONPATH": str(REPOSITORY),
        "DATABASE_URL": f"postgresql://x:hunter2@127.0.0.1:{free_port()}/x",
        "DB_CONNECT_TIMEOUT": "0",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *command.split()],
        cwd=tmp_path,
        env=kept | settings,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    errors = ended.stderr.splitlines()
    assert (ended.returncode, len(errors)) == (1, 1)
    assert errors[0].startswith("Error: the database cannot do this: ")
    assert "hunter2" not in ended.stdout + ended.stderr
