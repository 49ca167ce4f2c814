"""Where the ledger is tried: two of each process, and servers of its own, all of which may be killed."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from taskapi.background.embedded import EmbeddedRedis
from tests.e2e.conftest import free_port
from tests.e2e.installation import (
    START_SECONDS,
    ApiUser,
    Installation,
    environment_of,
    is_answering,
    wait_for,
)
from tests.e2e.ledger.receiver import Receiver, receiving
from tests.postgresql import start_postgresql
from tests.smtp import MailServer

PROCESSES = ("web-1", "web-2", "worker-1", "worker-2", "scheduler-1", "scheduler-2")


class Database:
    """A PostgreSQL that keeps what it has committed (``fsync`` is on), however it is ended."""

    def __init__(self) -> None:
        # Not below pytest's own folder, which is closed to the user whose server it is when root runs this.
        self._folder = Path(tempfile.mkdtemp(prefix="taskapi-ledger-"))
        self._data = self._folder / "data"
        self._server = start_postgresql(self._folder)
        self._server.psql("ALTER SYSTEM SET max_connections = 200")
        self.crash()
        self.url = sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        self.engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def crash(self) -> None:
        """End it at once, without a word to anybody, and start it again: it recovers from its log."""
        command = (self._server.bin_path / "pg_ctl", "-w", "-m", "immediate", "restart")
        files = ("-D", self._data, "-l", self._data / "log")
        subprocess.run(
            (*command, *files),
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._server.system_user,
            timeout=60,
        )

    def cut(self) -> None:
        """End every connection but the one that asks for it."""
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def ask(self, query: str, **values: object) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(query), values))

    def end(self) -> None:
        self.engine.dispose()
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


class Mail:
    """A mail server that comes back on its port, and the messages of all its lives."""

    def __init__(self) -> None:
        self._lives: list[MailServer] = []
        self._is_there = False
        self.port = free_port()
        self.start()

    @property
    def refusals(self) -> dict[str, str]:
        return self._lives[-1].refusals

    @property
    def messages(self) -> list[EmailMessage]:
        return [message for life in self._lives for message in life.messages]

    def start(self) -> None:
        # A server is started once.
        life = MailServer(port=self.port)
        life.start()
        self._lives.append(life)
        self._is_there = True

    def stop(self) -> None:
        if self._is_there:
            self._lives[-1].stop()
            self._is_there = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Everything that runs, and everything that may be hurt."""

    installation: Installation
    database: Database
    redis: EmbeddedRedis
    mail: Mail
    receiver: Receiver

    def addresses(self) -> list[str]:
        """Of the two web servers."""
        ports = (self.installation.settings_of[name]["PORT"] for name in PROCESSES[:2])
        return [f"http://127.0.0.1:{port}" for port in ports]

    def user(self, email: str) -> ApiUser:
        return ApiUser(self.installation.url, email)


@contextmanager
def ground(folder: Path, *, threads: int = 1) -> Iterator[Ground]:
    """An installation on PostgreSQL, migrated and ready, whose workers do so much of what waits at once."""
    database, redis, mail = Database(), EmbeddedRedis(folder), Mail()
    redis.start()
    ports = [str(free_port()) for _ in range(2)]
    try:
        with receiving() as receiver:
            environment = environment_of(
                folder,
                PORT=ports[0],
                DATABASE_URL=database.url.render_as_string(hide_password=False),
                MAIL_SERVER="127.0.0.1",
                MAIL_PORT=str(mail.port),
                WEBHOOK_ALLOW_PRIVATE="1",
                WEB_CONCURRENCY="1",
                LOG_LEVEL="WARNING",
                # Schedules are made until the end.
                ACCESS_TOKEN_EXPIRE_MINUTES="60",
                WORKER_THREADS=str(threads),
            )
            installation = Installation(folder, int(ports[0]), environment)
            for name, port in zip(PROCESSES[:2], ports, strict=True):
                installation.settings_of[name] = {"PORT": port}
            installation.run("db", "upgrade")
            try:
                installation.start_all(*PROCESSES)
                place = Ground(
                    installation=installation, database=database, redis=redis, mail=mail, receiver=receiver
                )
                for address in place.addresses():
                    wait_for(partial(is_answering, address), seconds=START_SECONDS, what="an answer")
                yield place
            finally:
                installation.stop()
    finally:
        mail.stop()
        redis.stop()
        database.end()
