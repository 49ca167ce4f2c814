"""Runs the checks one after the other; one that hangs or breaks is a finding, and the next one runs."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace

import structlog
from flask import Flask

from taskapi.ops.doctor import deliveries, keys, mail, processes, reach, servers, stores
from taskapi.ops.doctor.findings import FAIL, SKIP, Finding, fail, skip

log = structlog.get_logger(__name__)

SECONDS = 10.0
DATABASE, REDIS = "database", "redis"


@dataclass(frozen=True, slots=True)
class Check:
    """A look at one part.

    Attributes:
        needs: checks that must not have failed, or this one could say nothing new.
        seconds: it is given up after them.
    """

    name: str
    look: Callable[[], Finding]
    needs: Sequence[str] = ()
    seconds: float = SECONDS


CHECKS = (
    # SQLite is read wholly.
    Check(DATABASE, servers.look_at_database, seconds=120.0),
    Check("migrations", servers.look_at_migrations, needs=[DATABASE]),
    Check("clock", servers.look_at_clock, needs=[DATABASE]),
    Check(REDIS, servers.look_at_redis),
    Check("storage", stores.look_at_storage, seconds=120.0),
    Check("disk", stores.look_at_disk),
    Check("secret key", keys.look_at_secret_key),
    Check("private files", keys.look_at_private_files),
    Check("metrics", keys.look_at_metrics),
    Check("public address", reach.look_at_public_address),
    Check("scheduler", processes.look_at_scheduler, needs=[DATABASE, "migrations"]),
    Check("workers", processes.look_at_workers, needs=[REDIS]),
    Check("work", processes.look_at_work, needs=[DATABASE, "migrations"]),
    Check("e-mails", deliveries.look_at_emails, needs=[DATABASE, "migrations"]),
    Check("webhooks", deliveries.look_at_webhooks, needs=[DATABASE, "migrations"]),
    Check("files", deliveries.look_at_files, needs=[DATABASE, "migrations"]),
    Check("audit", deliveries.look_at_audit),
)
# A mail server may greet only after a while, and is asked several things.
MAIL_SECONDS = 45.0


def all_checks(*, mail_to: str | None = None) -> list[Check]:
    """Every check; the test message goes to ``mail_to``, or to the sender's own address."""
    return [*CHECKS, Check("mail", lambda: mail.look_at_mail(mail_to), seconds=MAIL_SECONDS)]


def examine(app: Flask, checks: Sequence[Check]) -> Iterator[Finding]:
    """The finding of each check, as soon as it is known."""
    failed: set[str] = set()
    for check in checks:
        missing = [name for name in check.needs if name in failed]
        if missing:
            finding = skip(f"not looked at, as it needs what failed: {', '.join(missing)}")
        else:
            finding = _look(app, check)
        if finding.status in (FAIL, SKIP):
            failed.add(check.name)
        yield replace(finding, check=check.name)


def _look(app: Flask, check: Check) -> Finding:
    found: list[Finding] = []

    def look() -> None:
        with app.app_context():
            try:
                found.append(check.look())
            except Exception as error:
                # What nobody thought of is a finding, too, and must not hide the others.
                log.exception("doctor.check_failed", check=check.name)
                found.append(fail(f"{type(error).__name__} while looking", "see the lines above it"))

    # A thread can be left behind where a call cannot be broken off; it ends with the process.
    thread = threading.Thread(target=copy_context().run, args=(look,), daemon=True)
    thread.start()
    thread.join(check.seconds)
    if not found:
        return fail(
            f"no answer within {check.seconds:g} s", "see whether it hangs, or the network loses packets"
        )
    return found[0]
