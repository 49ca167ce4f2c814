"""For each operation a request that is answered as whoever sends it hopes, on purpose and not by chance.

Those about things that exist, without a body and without anything to be done first, need no entry.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

from taskapi.accounts import one_time
from taskapi.accounts.one_time import PASSWORD_RESET, VERIFY_EMAIL
from taskapi.background.names import Queue
from taskapi.core import clock
from taskapi.core.db import transaction
from taskapi.core.handover import POSSIBLE
from taskapi.core.runtime import runtime_settings
from taskapi.notifications.unsubscribe import unsubscribe_url
from taskapi.ops import service as ops
from tests.accounts.authenticator import Authenticator, StandingClock, begin, enable
from tests.calendar.making import make_feed
from tests.contract.things import BODIES, THINGS, make_import, make_schedule, parameters_of
from tests.events.live.listening import UPGRADE
from tests.files.uploading import BOUNDARY, END, TEXT, part
from tests.people import PASSWORD, Person
from tests.schedules.actions.calling import run_now
from tests.schedules.making import REMINDER, make
from tests.tasks.making import make_task
from tests.work import run_jobs, tick

# Of a request; "path" has those of its parameters that are not just any thing.
Options = dict[str, Any]

TASK, SCHEDULE = {"title": "Tea"}, {**REMINDER, "every": 3600}
LOGIN = {"email": "olivia@example.org", "password": PASSWORD}
GOOD_BODIES: dict[str, Any] = {
    **BODIES,
    "POST /api/auth/register": {"email": "new@example.org", "password": PASSWORD},
    "POST /api/auth/login": LOGIN,
    "PUT /api/auth/me": {"full_name": "Olivia"},
    "PATCH /api/auth/me": {"full_name": "Olivia"},
    "DELETE /api/auth/me": {"password": PASSWORD},
    "POST /api/auth/me/password": {"current_password": PASSWORD, "new_password": "staple battery horse"},
    "POST /api/auth/me/second-factor": {"password": PASSWORD},
    "POST /api/auth/me/second-factor/confirm": {"code": "123456"},
    "POST /api/auth/me/second-factor/recovery-codes": {"password": PASSWORD},
    "DELETE /api/auth/me/second-factor": {"password": PASSWORD, "code": "123456"},
    "POST /api/auth/password-reset": {"email": "olivia@example.org"},
    "POST /api/auth/password-reset/confirm": {"token": "x", "password": "staple battery horse"},
    "POST /api/auth/verify-email": {"token": "x"},
    "POST /api/auth/tokens": {"name": "a program", "scopes": ["read"]},
    "POST /api/admin/users": {"email": "new@example.org", "password": "staple battery horse"},
    "PUT /api/admin/users/<uuid:user_id>": {"full_name": "Nora"},
    "PATCH /api/admin/users/<uuid:user_id>": {"full_name": "Nora"},
    "POST /api/calendar/feeds": {"name": "Work"},
    "POST /api/schedules": SCHEDULE,
    "POST /api/schedules/preview": {"cron": "0 9 * * *", "timezone": "Europe/Paris"},
    "POST /api/schedules/<uuid:schedule_id>/run": {"params": {"message": "Tea"}},
    "POST /api/runs/retry": {"action": ["reminder"], "scheduled_after": "2020-01-01"},
    "POST /api/tags": {"name": "home", "color": "#000000"},
    "POST /api/tasks": TASK,
    "POST /api/tasks/bulk": {"tasks": [TASK]},
    "PUT /api/tasks/by-external-id/<path:external_id>": TASK,
    # Nothing is sent: it only has to be an address that may be called.
    "POST /api/webhooks": {"url": "https://1.1.1.1/", "events": ["*"], "description": "Tea"},
    "POST /api/webhooks/<uuid:webhook_id>/rotate-secret": {"secret": "a secret of one's own"},
}


def app_of(person: Person) -> Flask:
    return person.client.application


def form(*files: tuple[str, bytes]) -> Options:
    parts = [part(f'name="file"; filename="{name}"', content) for name, content in files]
    return {"data": b"".join([*parts, END]), "content_type": f"multipart/form-data; boundary={BOUNDARY}"}


def in_path(name: str, value: object) -> Options:
    return {"path": {name: str(value)}}


def mailed(person: Person, purpose: str) -> str:
    """The token in a link that the person was mailed."""
    with app_of(person).app_context(), transaction():
        made = one_time.issue(user_id=person.id, purpose=purpose, asked_at=clock.now())
        assert made is not None
        return one_time.secret_of(one_time_token_id=made) or ""


def unsubscribing(person: Person) -> Options:
    with app_of(person).app_context():
        url = unsubscribe_url(user_id=person.id, address=person.email, kind="reminder")
    return in_path("token", urlsplit(url).path.rpartition("/")[2])


def second_factor(person: Person) -> Options:
    """A recovery code of an app that is set up, which needs no waiting for the next code."""
    phone = enable(person, StandingClock())
    return {"json": {"password": PASSWORD, "code": phone.recovery_codes[0]}}


def enrolled(person: Person) -> Options:
    return {"json": {"code": Authenticator(person, begin(person).json["secret"]).code()}}


def with_second_factor(person: Person) -> Options:
    enable(person, StandingClock())
    return {}


def of_check(person: Person) -> Options:
    check = make(person, action="expect_ping", params={"grace": 60}, every=3600)
    return in_path("token", check["ping_url"].rpartition("/")[2])


def paused(person: Person) -> Options:
    schedule_id = make_schedule(person)
    person.post(f"/api/schedules/{schedule_id}/pause")
    return in_path("schedule_id", schedule_id)


def failed_run(person: Person) -> Options:
    """Of a call that nobody answers."""
    params = {"url": "https://nowhere.invalid/"}
    schedule = make(person, action="webhook", params=params, every=3600, retry={"max_attempts": 1})
    run = run_now(app_of(person), person, schedule)
    assert run["status"] == "failed", run
    return in_path("run_id", run["id"])


def deleted_task(person: Person) -> Options:
    task_id = make_task(person)["id"]
    person.delete(f"/api/tasks/{task_id}")
    return in_path("task_id", task_id)


def imported(person: Person) -> Options:
    import_id = make_import(person)
    run_jobs(app_of(person))
    return in_path("import_id", import_id)


def named_task(person: Person) -> Options:
    make_task(person, external_id="PROJ-7")
    return in_path("external_id", "PROJ-7")


def all_is_up(person: Person) -> Options:
    with app_of(person).app_context():
        with transaction():
            ops.beat(name="scheduler-1", kind="scheduler")
        with Redis.from_url(runtime_settings().redis_url) as redis:
            redis.sadd("rq:workers", "rq:worker:one")
            redis.hset("rq:worker:one", "queues", Queue.RUNS)
    return {}


LIVE: Options = {"environ_overrides": {POSSIBLE: True}}
PICTURE_AS_TEXT = ("a.txt", b"\x89PNG\r\n\x1a\n")
# By operation, or by operation and status where it has several.
PREPARED: dict[str, Callable[[Person], Options]] = {
    "GET /api/health/ready": all_is_up,
    "GET /api/events": lambda _person: LIVE,
    "GET /ws": lambda _person: {**LIVE, "headers": UPGRADE},
    "GET /ws/<token>": lambda person: {**LIVE, "headers": UPGRADE, **in_path("token", person.access_token)},
    "GET /calendar/<token>.ics": lambda person: in_path(
        "token", make_feed(person)["path"].rpartition("/")[2].removesuffix(".ics")
    ),
    **{f"{how} /ping/<token>{end}": of_check for how in ("GET", "POST") for end in ("", "/fail")},
    **{f"{how} /api/notifications/unsubscribe/<token>": unsubscribing for how in ("GET", "POST")},
    "POST /api/auth/login": lambda person: {"json": {**LOGIN, "email": person.email}},
    "POST /api/auth/refresh": lambda person: {"headers": {"Authorization": f"Bearer {person.refresh_token}"}},
    "POST /api/auth/verify-email": lambda person: {"json": {"token": mailed(person, VERIFY_EMAIL)}},
    "POST /api/auth/password-reset/confirm": lambda person: {
        "json": {"token": mailed(person, PASSWORD_RESET), "password": "staple battery horse"}
    },
    "POST /api/auth/me/second-factor/confirm": enrolled,
    "POST /api/auth/me/second-factor/recovery-codes": with_second_factor,
    "DELETE /api/auth/me/second-factor": second_factor,
    "POST /api/schedules/<uuid:schedule_id>/resume": paused,
    "POST /api/schedules/<uuid:schedule_id>/backfill: 200": lambda _person: {
        "json": {**GOOD_BODIES["POST /api/schedules/<uuid:schedule_id>/backfill"], "dry_run": True}
    },
    "POST /api/runs/<uuid:run_id>/retry": failed_run,
    "POST /api/runs/retry": lambda person: {"json": {"run_ids": [failed_run(person)["path"]["run_id"]]}},
    "POST /api/tasks/<uuid:task_id>/restore": deleted_task,
    "POST /api/tasks/imports/<uuid:import_id>/undo": imported,
    "POST /api/tasks/bulk: 200": lambda _person: {
        "query_string": {"partial": "true"},
        "json": {"tasks": [TASK, {}]},
    },
    "PUT /api/tasks/by-external-id/<path:external_id>: 200": named_task,
    "PUT /api/tasks/by-external-id/<path:external_id>: 201": lambda _person: in_path("external_id", "new"),
    "POST /api/files": lambda _person: form(("list.txt", TEXT)),
    "POST /api/files/raw": lambda _person: {"query_string": {"filename": "list.txt"}, "data": TEXT},
    "POST /api/tasks/import": lambda _person: form(("tasks.csv", b"title\nTea\n")),
    "POST /api/tasks/<uuid:task_id>/files: 201": lambda _person: form(("list.txt", TEXT)),
    "POST /api/tasks/<uuid:task_id>/files: 207": lambda _person: form(("list.txt", TEXT), PICTURE_AS_TEXT),
}


def good_request(person: Person, route: str, status: int) -> tuple[str, str, Options]:
    """Method, path and all else of a good request, which is to be answered with this status."""
    options: Options = {"json": GOOD_BODIES.get(route)}
    prepare = PREPARED.get(f"{route}: {status}") or PREPARED.get(route)
    options |= prepare(person) if prepare else {}
    made: dict[str, str] = options.pop("path", {})
    made |= {name: THINGS[name](person) for name in parameters_of(route) if name not in made}
    method, path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: made[found[1]], route).split(" ")
    return method, path, options


def send_good(person: Person, route: str, status: int) -> TestResponse:
    """The answer to a good request of the operation, which is to be of this status."""
    method, path, options = good_request(person, route, status)
    if status == 206:
        options["headers"] = {"Range": "bytes=0-3"}
    answer = person.call(method, path, buffered=status != 101, **options)
    if status == 304:
        answer = person.call(method, path, headers={"If-None-Match": answer.headers["ETag"]})
    return answer


def live(person: Person) -> dict[str, str]:
    """Have one of everything that lists show; the ids of what hangs together."""
    made = {name: make(person) for name, make in THINGS.items()}
    # The newest task is there now.
    made["file_id"] = THINGS["file_id"](person)
    made["schedule_id"] = person.get(f"/api/runs/{made['run_id']}").json["schedule_id"]
    task = make_task(person, tags=["home"], due_date="2031-01-01T09:00:00Z")
    person.patch(f"/api/tasks/{task['id']}", {"status": "done"})
    tick(app_of(person))
    return made
