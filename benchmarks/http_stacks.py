"""The web servers that are compared: two processes each, in their own ordinary set-up."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from benchmarks.http_seed import Data
from benchmarks.live import free_port
from benchmarks.processes import (
    BIN,
    RIVALS,
    environment,
    rivals_environment,
    running,
    wait_for_answer,
)

OURS = "taskapi"
OURS_UNCACHED = "taskapi, uncached"
# Tokens that outlast the measurement, as the rivals' do.
LIFETIME = {"ACCESS_TOKEN_EXPIRE_MINUTES": "1440"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running server and what it serves."""

    name: str
    port: int
    data: Data


GUNICORN = ("gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}")
# Each keeps its connections open: gunicorn's "sync" never does.
THREADED = ("--worker-class", "gthread", "--threads", "4", "--keep-alive", "30")
FASTAPI = (
    *("uvicorn", "benchmarks.rivals.fastapi_app:app", "--workers", "2", "--port", "{port}"),
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log"),
)
DRF, FLASK = "benchmarks.rivals.drf.wsgi:application", "benchmarks.rivals.flask_app:app"
RIVAL_COMMANDS: dict[str, Sequence[str]] = {
    "FastAPI": FASTAPI,
    "Django REST, sync": (*GUNICORN, DRF),
    "Django REST, gthread": (*GUNICORN, *THREADED, DRF),
    "Flask, sync": (*GUNICORN, FLASK),
    "Flask, gthread": (*GUNICORN, *THREADED, FLASK),
}


@contextmanager
def rival(app: Flask, name: str, data: Data) -> Iterator[Stack]:
    """One of ``RIVAL_COMMANDS``, while the block runs."""
    port, log = free_port(), _log(app, name)
    program, *options = (word.format(port=port) for word in RIVAL_COMMANDS[name])
    # The name of the driver: SQLAlchemy's asyncio needs another one than the rest.
    url = data.url.replace("+psycopg", "+asyncpg") if name == "FastAPI" else data.url
    variables = rivals_environment(app, url)
    with running((RIVALS / program, *options), variables, log):
        wait_for_answer(port, "/", log)
        yield Stack(name=name, port=port, data=data)


@contextmanager
def ours(app: Flask, name: str, data: Data, **settings: str) -> Iterator[Stack]:
    """taskapi as it is deployed, with all that it does besides."""
    port, log = free_port(), _log(app, name)
    variables = environment(app, PORT=str(port), **LIFETIME, **settings)
    command = (BIN / "gunicorn", "-c", "python:taskapi.ops.gunicorn_settings", "wsgi:app")
    with running(command, variables, log):
        wait_for_answer(port, "/health", log)
        yield Stack(name=name, port=port, data=data)


@contextmanager
def scheduler(app: Flask) -> Iterator[None]:
    """The process that relays events."""
    with running((BIN / "flask", "scheduler"), environment(app), _log(app, "scheduler")):
        yield


@contextmanager
def all_stacks(app: Flask, our_data: Data, their_data: Data) -> Iterator[dict[str, Stack]]:
    """All servers at once; who is not asked only waits."""
    with ExitStack() as stack:
        found = [
            stack.enter_context(ours(app, OURS, our_data)),
            stack.enter_context(ours(app, OURS_UNCACHED, our_data, CACHE_TTL="0")),
            *(stack.enter_context(rival(app, name, their_data)) for name in RIVAL_COMMANDS),
        ]
        yield {one.name: one for one in found}


def _log(app: Flask, name: str) -> Path:
    folder: Path = app.extensions["taskapi_settings"].data_dir
    return folder / f"{name.replace(' ', '-')}.out"
