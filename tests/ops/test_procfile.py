"""The Procfile and the environment of its processes."""

import os
import sys
from pathlib import Path

import pytest

from taskapi.config import load_settings
from taskapi.ops.leader import UpError
from taskapi.ops.procfile import make_environment, make_process, read_procfile
from tests.ops.conftest import REPOSITORY


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_directory_without_a_procfile_gets_the_repositorys(directory: Path) -> None:
    (directory / "wsgi.py").touch()
    assert read_procfile(directory / "Procfile") == read_procfile(REPOSITORY / "Procfile")


def test_without_wsgi_py_the_factory_stands_for_it(directory: Path) -> None:
    assert read_procfile(directory / "Procfile")["web"].endswith(" taskapi.wsgi:app")
    assert make_environment(load_settings({}), {})["FLASK_APP"] == "taskapi.wsgi:app"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"# nothing\n", "names no process"),
        (b"web: a\nweb: b\n", "must be unique"),
        (b"web: \xff\n", "cannot be understood"),
    ],
)
def test_a_procfile_that_makes_no_sense_is_one_clear_line(
    directory: Path, content: bytes, complaint: str
) -> None:
    (directory / "Procfile").write_bytes(content)
    with pytest.raises(UpError, match=complaint):
        read_procfile(directory / "Procfile")


def test_words_are_cut_and_variables_filled_in_without_a_shell() -> None:
    process = make_process(
        "web", "serve '$NAME' --port=${PORT} $UNKNOWN ';' $$", {"NAME": "a b", "PORT": "80"}
    )
    assert process.arguments == ["serve", "a b", "--port=80", "$UNKNOWN", ";", "$"]


def test_quotes_that_do_not_match_are_one_clear_line() -> None:
    with pytest.raises(UpError, match="the command of web cannot be understood: No closing quotation"):
        make_process("web", "echo 'oh", {})


def test_the_environment_is_definite(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("FLASK_APP", "mine.py")
    environment = make_environment(load_settings({"DATA_DIR": "data", "PORT": "81"}), {"EXTRA": "1"})
    assert (environment["HOST"], environment["PORT"]) == ("127.0.0.1", "81")
    assert environment["DATA_DIR"] == str(directory / "data")
    assert environment["LOG_FILE"] == str(directory / "data/log/app.log")
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert (environment["FLASK_APP"], environment["EXTRA"]) == ("mine.py", "1")
    assert "REDIS_URL" not in environment


def test_a_log_file_of_the_operator_is_kept(directory: Path) -> None:
    environment = make_environment(load_settings({"LOG_FILE": "own.log"}), {})
    assert environment["LOG_FILE"] == str(directory / "own.log")
