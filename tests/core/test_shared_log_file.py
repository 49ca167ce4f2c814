"""A log file that several processes write and rotate."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taskapi.core.logging import SharedRotatingFileHandler

REPOSITORY = Path(__file__).parents[2]
WRITER = """
import logging, sys
from taskapi.core.logging import SharedRotatingFileHandler

name, path = sys.argv[1:]
handler = SharedRotatingFileHandler(path, maxBytes=20_000, backupCount=100, encoding="utf-8")
logger = logging.getLogger("writer")
logger.addHandler(handler)
logger.setLevel("INFO")
print("ready", flush=True)
sys.stdin.readline()
for number in range(400):
    logger.info(f"{name} {number:04} {'x' * 80} end")
"""


def test_no_line_of_several_processes_is_lost_or_torn(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), str(log)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    assert [writer.communicate("go\n", timeout=60)[1] for writer in writers] == [""] * 4
    files = set(tmp_path.glob("app.log*")) - {tmp_path / "app.log.lock"}
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert sorted(lines) == [
        f"{name} {number:04} {'x' * 80} end" for name in range(4) for number in range(400)
    ]
    assert len(files) > 5
    # Each writer may have been about to write a line when another rotated.
    assert all(file.stat().st_size <= 20_000 + 4 * 110 for file in files)


def say(handler: logging.Handler, text: str) -> None:
    handler.handle(logging.LogRecord("here", logging.INFO, __file__, 1, text, None, None))


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    handler = SharedRotatingFileHandler(tmp_path / "app.log", encoding="utf-8")
    say(handler, "one")
    (tmp_path / "app.log").rename(tmp_path / "moved")
    say(handler, "two")
    handler.close()
    assert [(tmp_path / name).read_text() for name in ("moved", "app.log")] == ["one\n", "two\n"]


def test_a_log_that_cannot_be_written_does_not_stop_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").mkdir()
    handler = SharedRotatingFileHandler(tmp_path / "log/app.log", encoding="utf-8")
    shutil.rmtree(tmp_path / "log")
    say(handler, "one")
    handler.close()
    assert "No such file or directory" in capsys.readouterr().err
