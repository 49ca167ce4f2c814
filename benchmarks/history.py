"""How long a page of the history takes with ten thousand runs, and with a million.

``python -m benchmarks.history [few] [many]`` prints the 95th percentile of each kind of page and
their ratio, and fails when a ratio is 3 or more.
"""

import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import click
import sqlalchemy as sa
from flask import Flask

from benchmarks.installation import installation
from benchmarks.measuring import percentile
from taskapi.core.db import db, transaction
from taskapi.core.paging import MAX_PAGE
from tests.people import Person, make_person

FEW, MANY = 10_000, 1_000_000
WORST_RATIO = 3.0
SCHEDULES, USERS = 200, 4

# Four users, the first with most runs; most of them completed, a few of everything else.
SEED_SCHEDULES = """
INSERT INTO schedules (id, owner_id, name, action, params, every, timezone, dst, starts_at, starts_at_given,
    exclude, skips, jitter, catch_up, catch_up_window, catch_up_limit, overlap, timeout, retry, notify,
    alert_after, status, run_count, failures_in_row, version, created_at, updated_at)
SELECT gen_random_uuid(), (ARRAY[{owners}]::uuid[])[1 + n % {users}], 'Schedule ' || n || ' of things',
    (ARRAY['reminder', 'reminder', 'webhook', 'expect_ping'])[1 + n % 4], '{{"message": "Time for tea"}}',
    60, 'UTC', '{{"gap": "next_valid", "repeat": "first"}}', now(), true, '[]', '[]', 0, 'latest', 86400, 100,
    'skip', 300, '{{"max_attempts": 3, "delay": 10, "factor": 2, "max_delay": 3600}}', '["failed"]',
    1, 'paused', 0, 0, 1, now(), now()
FROM generate_series(1, {schedules}) AS n
"""
SEED_RUNS = """
WITH numbered AS (SELECT id, owner_id, action, row_number() OVER (ORDER BY id) AS place FROM schedules),
made AS (
    SELECT n, now() - make_interval(secs => 60.0 * ({runs} - n)) AS at,
        (hashint4(n) & 1023)::int AS dice, (hashint4(n + 7) & 1023)::int AS other
    FROM generate_series(1, {runs}) AS n
)
INSERT INTO runs (id, schedule_id, owner_id, action, params, trigger, scheduled_for, due_at, status, reason,
    attempt, lost_attempts, earlier_attempts, max_attempts, timeout, retry, notify, created_at,
    waits_for_turn, queued_at, first_started_at, started_at, finished_at, worker, result)
SELECT gen_random_uuid(), s.id, s.owner_id, s.action, '{{"message": "Time for tea"}}',
    CASE WHEN other < 3 THEN 'manual' WHEN other < 12 THEN 'backfill' WHEN other < 40 THEN 'catch_up'
        ELSE 'schedule' END,
    at, at,
    CASE WHEN dice < 1 THEN 'cancelled' WHEN dice < 30 THEN 'failed' WHEN dice < 80 THEN 'skipped'
        ELSE 'completed' END,
    CASE WHEN dice < 1 THEN 'manual' WHEN dice < 30 THEN NULL WHEN dice < 79 THEN 'overlap'
        WHEN dice < 80 THEN 'too_late' END,
    1, 0, 0, 3, 300, '{{"max_attempts": 3, "delay": 10, "factor": 2, "max_delay": 3600}}', '["failed"]',
    at + interval '20 ms', false, at, at, at, at + interval '50 ms', 'worker-1',
    '{{"sent_to": ["a@example.org"]}}'
FROM made JOIN numbered s ON s.place = 1 + n % {schedules}
"""
SEED_COUNTS = """
INSERT INTO run_counts SELECT schedule_id, count(*) FILTER (WHERE status = 'completed'),
    count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'cancelled'),
    count(*) FILTER (WHERE status = 'skipped') FROM runs GROUP BY schedule_id
"""


def seed(app: Flask, runs: int) -> dict[str, Person]:
    """A user, an administrator and a few others with their schedules and so many runs."""
    people = [make_person(app, f"user{number}@example.org") for number in range(USERS)]
    owners = ", ".join(f"'{person.id}'" for person in people)
    with app.app_context():
        with transaction() as session:
            session.execute(sa.text("SET LOCAL statement_timeout = 0"))
            for statement in (SEED_SCHEDULES, SEED_RUNS, SEED_COUNTS):
                words = {"owners": owners, "users": USERS, "schedules": SCHEDULES, "runs": runs}
                session.connection().exec_driver_sql(statement.format(**words).replace("%", "%%"))
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql("VACUUM ANALYZE")
    return {"user": people[0], "admin": make_person(app, "admin@example.org", role="admin")}


def pages(schedule_id: str, middle: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, path and query of each kind of page."""
    yield "first page", "/api/runs", {}
    for name, value in (
        ("status", "completed"),
        ("status", "failed"),
        ("status", "cancelled"),
        ("status", "pending"),
        ("status", ["failed", "skipped"]),
        ("action", "expect_ping"),
        ("action", "nothing_of_the_kind"),
        ("trigger", "manual"),
        ("reason", "too_late"),
        ("schedule_id", schedule_id),
        ("scheduled_after", middle),
        ("scheduled_before", middle),
        ("q", "schedule 17 things"),
        ("sort", "scheduled_for"),
    ):
        words = value if isinstance(value, str) else "+".join(value)
        shown = name if name in ("schedule_id",) or name.startswith("scheduled") else f"{name}={words}"
        yield shown, "/api/runs", {name: value}
    yield "runs of a schedule", f"/api/schedules/{schedule_id}/runs", {}
    yield "its failed runs", f"/api/schedules/{schedule_id}/runs", {"status": "failed"}


def measure(runs: int) -> dict[str, float]:
    """Milliseconds of each kind of page, for a user and for an administrator."""
    figures: dict[str, float] = {}
    with installation() as app:
        people = seed(app, runs)
        for who, person in people.items():
            run = person.get("/api/runs").json["items"][0]
            halfway = min(runs // USERS, MAX_PAGE) // 2
            deep = person.get(f"/api/runs?per_page=1&page={halfway}").json
            middle = deep["items"][0]["scheduled_for"]
            for name, path, query in pages(run["schedule_id"], middle):
                address = f"{path}?{urlencode(query, doseq=True)}"
                figures[f"{who}: {name}"] = percentile(person, address)
            figures[f"{who}: deep cursor"] = percentile(person, f"/api/runs?cursor={deep['next_cursor']}")
    return figures


def main(few: int = FEW, many: int = MANY) -> int:
    before, after = measure(few), measure(many)
    click.echo(f"p95 in ms {few:>27,} {many:>10,}  ratio")
    for name, milliseconds in after.items():
        ratio = milliseconds / before[name]
        click.echo(f"{name:<26} {before[name]:>10.1f} {milliseconds:>10.1f} {ratio:>6.2f}")
    return int(any(after[name] / before[name] >= WORST_RATIO for name in after))


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
