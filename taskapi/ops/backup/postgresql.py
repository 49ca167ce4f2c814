"""PostgreSQL: ``pg_dump`` of one moment, and back by ``pg_restore`` in one transaction."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

import sqlalchemy as sa

from taskapi.core.connections import waiting_for_ever
from taskapi.core.db import db
from taskapi.ops.backup.errors import BackupError
from taskapi.ops.backup.snapshot import Snapshot, count_rows, list_objects, read_revision

MEMBER = "database/taskapi.dump"
COPY_BYTES = 1_048_576
LOCK_MS = 10_000
# Nothing of the roles of the server it comes from.
ONLY_CONTENT = ("--no-owner", "--no-privileges")
# What stands in the schema, but for what belongs to an extension.
OWN = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e')"
DROPS = f"""
SELECT format('DROP %s IF EXISTS %s CASCADE;', what, o.oid::regclass) FROM pg_class o JOIN
 (VALUES ('r', 'TABLE', 1), ('p', 'TABLE', 1), ('v', 'VIEW', 0), ('S', 'SEQUENCE', 2)) k (kind, what, place)
 ON k.kind = o.relkind::text WHERE o.relnamespace = current_schema()::regnamespace AND {OWN}
UNION ALL
SELECT format('DROP ROUTINE IF EXISTS %s CASCADE;', o.oid::regprocedure) FROM pg_proc o
 WHERE o.pronamespace = current_schema()::regnamespace AND {OWN}
"""  # noqa: S608


@contextmanager
def take_snapshot(folder: Path) -> Iterator[Snapshot]:
    """A dump of the database as it is now.

    Raises:
        BackupError: there is no ``pg_dump`` that fits, or it fails.
    """
    program = _find("pg_dump")
    dump = folder / "taskapi.dump"
    with TemporaryFile(dir=folder) as objects:
        with _one_moment() as (connection, moment):
            _check_version(program, connection)
            revision, tables = read_revision(connection), count_rows(connection)
            size = list_objects(connection, objects)
            command = [program, "--format=custom", f"--snapshot={moment}", *ONLY_CONTENT]
            command += [f"--lock-wait-timeout={LOCK_MS}", f"--file={dump}", f"--dbname={_address()}"]
            _run(command)
        yield Snapshot(
            dump=dump, member=MEMBER, revision=revision, tables=tables, objects=objects, bytes=size
        )


@contextmanager
def _one_moment() -> Iterator[tuple[sa.Connection, str]]:
    """A transaction for which the database stands still, and its name for others."""
    with db.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        # It waits for pg_dump, which may take hours.
        for limit in ("idle_in_transaction_session_timeout", "statement_timeout"):
            connection.execute(sa.text(f"SET LOCAL {limit} = 0"))
        with waiting_for_ever(connection):
            yield connection, connection.execute(sa.text("SELECT pg_export_snapshot()")).scalar_one()


def load(dump: Path) -> None:
    """Put what was dumped in the place of all tables, in one transaction: all of it, or nothing.

    Raises:
        BackupError: a program is missing or fails, or somebody uses the tables.
    """
    db.session.remove()
    with db.engine.connect() as connection:
        _check_version(_find("pg_restore"), connection)
        drops = "\n".join(connection.execute(sa.text(DROPS)).scalars())
    db.engine.dispose()
    begin = dump.with_suffix(".sql")
    begin.write_text(f"SET lock_timeout = {LOCK_MS};\nSET client_min_messages = warning;\n{drops}\n")
    script = [_find("pg_restore"), *ONLY_CONTENT, "--file=-", str(dump)]
    apply = [_find("psql"), "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    _pipe(script, [*apply, f"--file={begin}", "--file=-", f"--dbname={_address()}"])


def _pipe(first: Sequence[str], second: Sequence[str]) -> None:
    """Run two programs; the second never learns of an end that the first did not reach."""
    with (
        TemporaryFile() as said,
        subprocess.Popen(first, stdout=subprocess.PIPE, stderr=said) as source,
        subprocess.Popen(
            second, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, env=_environment()
        ) as target,
    ):
        assert source.stdout is not None
        assert target.stdin is not None
        try:
            shutil.copyfileobj(source.stdout, target.stdin, COPY_BYTES)
        except BrokenPipeError:
            source.kill()
        if source.wait() != 0:
            # Or it would commit what it has got.
            target.kill()
        with suppress(BrokenPipeError):
            target.stdin.close()
        if target.wait() != 0 or source.returncode != 0:
            said.seek(0)
            raise BackupError(f"the database cannot be restored: {_last_line(said.read())}")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, env=_environment(), capture_output=True, check=False)
    if done.returncode != 0:
        raise BackupError(f"pg_dump failed: {_last_line(done.stderr)}")


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if "error" in line.lower()]
    return lines[0] if lines else "it did not say why"


def _address() -> str:
    """The database, without the password: every user of a machine sees its list of processes."""
    url = db.engine.url
    place = {"username": url.username, "host": url.host, "port": url.port, "database": url.database}
    query = {name: value for name, value in url.query.items() if name != "password"}
    return sa.URL.create("postgresql", **place, query=query).render_as_string()  # type: ignore[arg-type]


def _environment() -> dict[str, str]:
    url = db.engine.url
    password = url.password or url.query.get("password")
    return {**os.environ, "PGCONNECT_TIMEOUT": "10", **({"PGPASSWORD": str(password)} if password else {})}


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise BackupError(f"{program} is not on PATH: install PostgreSQL's client programs")
    return found


def _check_version(program: str, connection: sa.Connection) -> None:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\) (\d+)", said)
    server = connection.execute(sa.text("SHOW server_version_num")).scalar_one()
    wanted = int(server) // 10_000
    if found is None or int(found[1]) < wanted:
        raise BackupError(f"{said.strip() or program} is older than the server: install version {wanted}")
