"""One of each kind of thing that paths name, who sees it, and how it is asked for."""

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from taskapi.accounts import sign_in
from taskapi.core.db import transaction
from taskapi.core.runtime import runtime_settings
from taskapi.notifications.service import notify
from tests.files.making import store
from tests.people import Person, make_person
from tests.schedules.making import make
from tests.tasks.importing import send_table
from tests.tasks.making import make_task

UNKNOWN, FORBIDDEN, HIDDEN, THROUGH = "401", "403", "404", "through"
OWNER, OWNER_AND_ADMIN = frozenset({"owner"}), frozenset({"owner", "admin"})
PEOPLE_OF_TASK = OWNER_AND_ADMIN | {"assignee"}
EVERYBODY = PEOPLE_OF_TASK | {"stranger"}
SEEN_BY = {
    "schedule_id": OWNER_AND_ADMIN,
    "run_id": OWNER_AND_ADMIN,
    "backfill_id": OWNER_AND_ADMIN,
    # It hangs on a task.
    "file_id": PEOPLE_OF_TASK,
    "import_id": OWNER_AND_ADMIN,
    "task_id": PEOPLE_OF_TASK,
    "comment_id": PEOPLE_OF_TASK,
    "tag_id": EVERYBODY,
    "notification_id": OWNER,
    "feed_id": OWNER,
    "webhook_id": OWNER,
    "delivery_id": OWNER,
    "session_id": OWNER,
    "token_id": OWNER,
    "user_id": OWNER_AND_ADMIN,
}
# What TASK_VISIBILITY says: whether everybody sees everybody's tasks.
VISIBILITIES = {"own": False, "team": True}
# Without them a route about a thing would refuse the body before it looks for the thing.
YEARS_AGO = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-01T01:00:00Z"}
BODIES = {
    "PUT /api/tasks/<uuid:task_id>": {"title": "Tea"},
    "PATCH /api/tasks/<uuid:task_id>": {"title": "Tea"},
    "POST /api/tasks/<uuid:task_id>/comments": {"content": "Tea"},
    "PUT /api/tasks/<uuid:task_id>/comments/<uuid:comment_id>": {"content": "Tea"},
    "PATCH /api/tasks/<uuid:task_id>/comments/<uuid:comment_id>": {"content": "Tea"},
    "PUT /api/tags/<uuid:tag_id>": {"color": "#000000"},
    "PATCH /api/tags/<uuid:tag_id>": {"color": "#000000"},
    "PUT /api/schedules/<uuid:schedule_id>": {"name": "Tea"},
    "PATCH /api/schedules/<uuid:schedule_id>": {"name": "Tea"},
    "POST /api/schedules/<uuid:schedule_id>/skip": {"at": "2100-01-01T00:00:00Z"},
    "POST /api/schedules/<uuid:schedule_id>/backfill": YEARS_AGO,
    "PUT /api/webhooks/<uuid:webhook_id>": {"description": "Tea"},
    "PATCH /api/webhooks/<uuid:webhook_id>": {"description": "Tea"},
    "POST /api/webhooks/<uuid:webhook_id>/redeliver": YEARS_AGO,
}


def make_schedule(owner: Person) -> str:
    return str(make(owner, cron="0 * * * *")["id"])


def make_run(owner: Person) -> str:
    return str(owner.post(f"/api/schedules/{make_schedule(owner)}/run").json["id"])


def make_backfill(owner: Person) -> str:
    """One of the schedule that was made last."""
    schedule_id = owner.get("/api/schedules").json["items"][0]["id"]
    return str(owner.post(f"/api/schedules/{schedule_id}/backfill", YEARS_AGO).json["id"])


def make_import(owner: Person) -> str:
    return str(send_table(owner, "title\nTea\n").json["id"])


def newest_task(owner: Person) -> str | None:
    """The task that was made last, which a thing that belongs to a task is to belong to."""
    items = owner.get("/api/tasks").json["items"]
    return str(items[0]["id"]) if items else None


def make_file(owner: Person) -> str:
    task_id = newest_task(owner)
    return str(store(owner, task_id=UUID(task_id) if task_id else None))


def make_comment(owner: Person) -> str:
    answer = owner.post(f"/api/tasks/{newest_task(owner)}/comments", {"content": "Soon."})
    return str(answer.json["id"])


def make_notification(owner: Person) -> str:
    with owner.client.application.app_context(), transaction():
        notify(key="matrix", user_id=owner.id, kind="reminder", title="Tea", message="")
    return str(owner.get("/api/notifications").json["items"][0]["id"])


def make_webhook(owner: Person) -> str:
    # Nothing is sent: it only has to be an address that may be called.
    answer = owner.post("/api/webhooks", {"url": "https://1.1.1.1/", "events": ["*"]})
    return str(answer.json["id"])


def make_delivery(owner: Person) -> str:
    """One of the webhook that was made last."""
    webhook_id = owner.get("/api/webhooks").json["items"][0]["id"]
    return str(owner.post(f"/api/webhooks/{webhook_id}/test").json["id"])


def signed_in_again(person: Person) -> str:
    """The access token of a new session."""
    with person.client.application.app_context(), transaction():
        return sign_in.start_session(settings=runtime_settings(), user_id=person.id).access_token


def make_session(owner: Person) -> str:
    signed_in_again(owner)
    others = [item for item in owner.get("/api/auth/sessions").json["items"] if not item["current"]]
    return str(others[0]["id"])


def make_token(owner: Person, *scopes: str) -> dict[str, Any]:
    answer = owner.post("/api/auth/tokens", {"name": "a program", "scopes": list(scopes or ["read"])})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json
    return created


def make_user(owner: Person) -> str:
    """Somebody else, whom an administrator may delete."""
    return str(make_person(owner.client.application, f"{secrets.token_hex(4)}@example.org").id)


THINGS: dict[str, Callable[[Person], str]] = {
    "schedule_id": make_schedule,
    "run_id": make_run,
    "backfill_id": make_backfill,
    "file_id": make_file,
    "import_id": make_import,
    "task_id": lambda owner: str(make_task(owner)["id"]),
    "comment_id": make_comment,
    "tag_id": lambda owner: str(owner.post("/api/tags", {"name": secrets.token_hex(4)}).json["id"]),
    "notification_id": make_notification,
    "feed_id": lambda owner: str(owner.post("/api/calendar/feeds", {"name": "Work"}).json["id"]),
    "webhook_id": make_webhook,
    "delivery_id": make_delivery,
    "session_id": make_session,
    "token_id": lambda owner: str(make_token(owner)["id"]),
    "user_id": make_user,
}


def parameters_of(route: str) -> list[str]:
    return re.findall(r"<uuid:(\w+)>", route)


def about(route: str, made: Mapping[str, str]) -> str:
    """The route as a request about these things."""
    return re.sub(r"<uuid:(\w+)>", lambda found: made[found[1]], route)


def call(owner: Person, route: str, request: str, token: str | None) -> str:
    """Send a request of the route, and tell how far it came.

    Mostly no body is sent: a request that is let through is told what is missing. Where a good one
    is sent, it has to be carried out.
    """
    method, path = request.split(" ")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # Read to its end, as a content is sent piece by piece.
    answer = owner.client.open(path, method=method, headers=headers, json=BODIES.get(route), buffered=True)
    status = answer.status_code
    # Only gunicorn keeps connections open, and here no worker and no scheduler run.
    assert status < 500 or (route, status) in (("GET /api/events", 503), ("GET /api/health/ready", 503))
    if status in (401, 403, 404, 405):
        return str(status)
    # Who has sent all that is needed has come to the end.
    assert status < 300 or route not in BODIES, answer.text
    return THROUGH
