"""DELETE /api/admin/users/{id}, and GET /api/admin/users/{id}/deletion"""

from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts import deletion
from taskapi.core import closing
from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event
from taskapi.events.webhooks.models import Webhook
from taskapi.notifications.models import Email
from taskapi.tasks.models import Comment
from tests.accounts.helpers import code, register
from tests.admin.managing import fates, user_path
from tests.files.making import CONTENT, row_of, store, used
from tests.people import Person, make_person, set_role
from tests.schedules.actions.calling import run_now
from tests.schedules.making import Time, make, runs_of
from tests.tasks.making import make_task, path_of, titles
from tests.work import run_jobs, tick


def fill(owner: Person, teammate: Person) -> dict[str, str]:
    """One of each that somebody may have; the ids of what a test looks at."""
    mine = make_task(owner, title="mine", external_id="x", tags=["tea"])
    shared = make_task(owner, title="shared", assignee_id=str(teammate.id))
    given = make_task(teammate, title="given", assignee_id=str(owner.id))
    owner.delete(path_of(make_task(owner, title="deleted")))
    for task in (mine, given):
        owner.post(f"{path_of(task)}/comments", {"content": "Soon."})
    schedule = make(owner, every=60)
    owner.post("/api/webhooks", {"url": "https://1.1.1.1/", "events": ["*"]})
    owner.post("/api/calendar/feeds", {"name": "Work"})
    owner.post("/api/auth/tokens", {"name": "x", "scopes": ["read"]})
    things = {"mine": mine, "shared": shared, "given": given, "schedule": schedule}
    return {**{name: str(thing["id"]) for name, thing in things.items()}, "file": str(store(owner))}


REST = {
    ("webhooks", "deleted"): 1,
    ("calendar_feeds", "deleted"): 1,
    ("tokens", "deleted"): 1,
    ("sessions", "deleted"): 1,
}


def test_without_an_heir_things_go_as_when_one_closes_ones_own_account(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    ids = fill(owner, teammate)
    expected = {
        ("tasks", "deleted"): 2,
        ("tasks", "handed_over"): 1,
        ("assignments", "unassigned"): 1,
        ("comments", "anonymised"): 1,
        ("tags", "kept"): 1,
        ("files", "deleted"): 1,
        ("schedules", "cancelled"): 1,
        **REST,
    }
    assert fates(admin.get(f"{user_path(owner)}/deletion")) == expected
    assert fates(admin.delete(user_path(owner))) == expected
    assert titles(admin, sort="title") == ["given", "shared"]
    assert admin.get(f"/api/tasks/{ids['shared']}").json["creator_id"] == str(teammate.id)
    assert admin.get(f"/api/schedules/{ids['schedule']}").json["status"] == "cancelled"
    assert row_of(app, UUID(ids["file"])) is None


def test_an_heir_gets_tasks_files_tags_and_schedules(
    app: Flask, owner: Person, teammate: Person, admin: Person, time: Time
) -> None:
    ids = fill(owner, teammate)
    expected = {
        ("tasks", "handed_over"): 3,
        ("assignments", "handed_over"): 1,
        ("comments", "anonymised"): 2,
        ("tags", "handed_over"): 1,
        ("files", "handed_over"): 1,
        ("schedules", "handed_over"): 1,
        **REST,
    }
    query = {"query_string": {"reassign_to": "tariq"}}
    assert fates(admin.get(f"{user_path(owner)}/deletion", **query)) == expected
    answer = admin.delete(user_path(owner), **query)
    assert fates(answer) == expected
    assert (answer.json["username"], answer.json["reassign_to"]["username"]) == ("olivia", "tariq")
    heir = str(teammate.id)
    mine = teammate.get(f"/api/tasks/{ids['mine']}").json
    assert (mine["creator_id"], mine["assignee_id"], mine["external_id"]) == (heir, None, None)
    given = teammate.get(f"/api/tasks/{ids['given']}").json
    assert (given["assignee_id"], given["comments"][0]["author"]) == (heir, None)
    assert titles(admin, deleted="true") == ["deleted"]
    assert teammate.get(f"/api/files/{ids['file']}/content").data == CONTENT
    assert (used(app, teammate), used(app, owner)) == ((len(CONTENT), 1), (0, 0))
    schedule = teammate.get(f"/api/schedules/{ids['schedule']}").json
    assert (schedule["owner_id"], schedule["status"]) == (heir, "active")


def test_runs_go_with_their_schedule_and_it_goes_on(
    app: Flask, owner: Person, teammate: Person, admin: Person, time: Time
) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=60)
    tick(app)
    admin.delete(user_path(owner), query_string={"reassign_to": str(teammate.id)})
    time.pass_(seconds=60)
    tick(app)
    assert [run["status"] for run in runs_of(teammate, schedule)] == ["completed", "completed"]
    assert teammate.get("/api/runs").json["total"] == 2


def test_what_was_held_goes_on_for_the_heir(
    owner: Person, teammate: Person, admin: Person, time: Time
) -> None:
    schedule = make(owner, every=60)
    admin.patch(user_path(owner), {"is_active": False})
    admin.delete(user_path(owner), query_string={"reassign_to": "tariq"})
    assert teammate.get(f"/api/schedules/{schedule['id']}").json["status"] == "active"


@pytest.mark.parametrize(("role", "outcome"), [("user", "cancelled"), ("admin", "handed_over")])
def test_what_only_administrators_may_do_goes_to_nobody_else(
    owner: Person, teammate: Person, admin: Person, role: str, outcome: str
) -> None:
    admin.patch(user_path(owner), {"role": "admin"})
    admin.patch(user_path(teammate), {"role": role})
    make(owner, action="file_cleanup", params={"older_than_days": 30, "all_owners": True}, every=3600)
    query = {"query_string": {"reassign_to": "tariq"}}
    foreseen = fates(admin.get(f"{user_path(owner)}/deletion", **query))
    assert foreseen[("schedules", outcome)] == 1
    assert fates(admin.delete(user_path(owner), **query)) == foreseen


def test_what_an_heir_sees_is_told_to_nobody_whom_the_former_owner_chose(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    params = {"kind": "tasks", "format": "csv", "to": "eve@example.org"}
    schedule = make(owner, action="report", params=params, cron="0 0 1 1 *")
    waits = owner.post(f"/api/schedules/{schedule['id']}/run").json
    cancelled = owner.post(f"/api/schedules/{schedule['id']}/run").json
    owner.post(f"/api/runs/{cancelled['id']}/cancel")
    admin.delete(user_path(owner), query_string={"reassign_to": "tariq"})
    assert teammate.post(f"/api/runs/{cancelled['id']}/retry").status_code == 200
    run_jobs(app)
    for run in (waits, cancelled):
        done = teammate.get(f"/api/runs/{run['id']}").json
        assert (done["status"], done["result"]["sent_to"]) == ("completed", [teammate.email])
    kept = {"kind": "tasks", "format": "csv"}
    assert teammate.get(f"/api/schedules/{schedule['id']}").json["params"] == kept
    with app.app_context():
        recorded = sa.select(Event.after).where(Event.type == "schedule.updated")
        assert session().scalars(recorded).all() == [{"owner_id": str(teammate.id), "params": kept}]


def test_the_title_of_an_heirs_task_is_told_to_nobody_else(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    to_eve = {"message": "Soon", "to": "eve@example.org"}
    of_task = make(owner, params={**to_eve, "task_id": str(make_task(owner)["id"])}, every=3600)
    own_words = make(owner, params=to_eve, every=3600)
    admin.delete(user_path(owner), query_string={"reassign_to": "tariq"})
    left = [teammate.get(f"/api/schedules/{each['id']}").json["params"] for each in (of_task, own_words)]
    assert left == [{"message": "Soon", "task_id": of_task["params"]["task_id"]}, to_eve]


@pytest.mark.parametrize(("role", "sees_everything"), [("user", False), ("admin", True)])
def test_what_an_administrator_made_sees_everything_as_long_as_it_is_an_administrators(
    app: Flask, owner: Person, teammate: Person, admin: Person, role: str, sees_everything: bool
) -> None:
    boss = make_person(app, "bea@example.org", role="admin")
    report = {"action": "report", "params": {"kind": "tasks", "format": "csv"}, "cron": "0 0 1 1 *"}
    schedule = make(boss, **report)
    make_task(owner, title="another's")
    for new_role in (role, "admin"):
        with app.app_context(), transaction():
            set_role(teammate.email, new_role)
        if new_role == role:
            admin.delete(user_path(boss), query_string={"reassign_to": "tariq"})
    result = run_now(app, teammate, schedule)["result"]
    content = teammate.get(f"/api/files/{result['file_id']}/content", buffered=True).text
    assert ("another's" in content) is sees_everything


def test_the_heir_gets_no_hundred_messages(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    make_task(admin, assignee_id=str(owner.id))
    tick(app)
    admin.delete(user_path(owner), query_string={"reassign_to": "tariq"})
    tick(app)
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).where(Email.user_id == teammate.id)) == 0
    assert teammate.get("/api/notifications/unread-count").json == {"unread_count": 0}


def test_the_names_are_free_and_nobody_is_signed_in_any_more(
    client: FlaskClient, owner: Person, admin: Person
) -> None:
    assert admin.delete(user_path(owner)).status_code == 200
    assert owner.get("/api/auth/me").status_code == 401
    assert code(admin.get(user_path(owner))) == (404, "user_not_found")
    assert register(client, owner.email, username="olivia").status_code == 201


def test_it_is_recorded_who_did_it(app: Flask, owner: Person, admin: Person) -> None:
    store(owner)
    admin.delete(user_path(owner))
    with app.app_context():
        deleted = sa.select(Event.actor_id).where(Event.type.in_(["user.closed", "file.deleted"]))
        assert session().scalars(deleted).all() == [admin.id, admin.id]


@pytest.mark.parametrize("heir", ["nobody", "olivia", "ines", ""])
def test_not_everybody_can_be_the_heir(app: Flask, owner: Person, admin: Person, heir: str) -> None:
    admin.post("/api/admin/users", {"email": "ines@example.org", "is_active": False})
    query = {"query_string": {"reassign_to": heir}}
    for answer in (
        admin.get(f"{user_path(owner)}/deletion", **query),
        admin.delete(user_path(owner), **query),
    ):
        assert (code(answer), list(answer.json["errors"])) == ((422, "validation_error"), ["reassign_to"])
    assert admin.get(user_path(owner)).status_code == 200


def test_the_last_admin_is_not_deleted(owner: Person, admin: Person) -> None:
    assert code(admin.delete(user_path(admin))) == (409, "last_admin")
    assert code(admin.delete(user_path(admin), query_string={"reassign_to": "olivia"})) == (409, "last_admin")


@pytest.mark.one_database
def test_an_admin_does_not_delete_themselves(app: Flask, admin: Person) -> None:
    make_person(app, "second@example.org", role="admin")
    assert code(admin.delete(user_path(admin))) == (409, "own_account")
    with app.app_context(), transaction():
        # The operator may.
        deletion.delete_user(actor=None, user_id=admin.id)


def test_who_has_seen_another_version_deletes_nobody(owner: Person, admin: Person) -> None:
    answer = admin.delete(user_path(owner), headers={"If-Match": '"v7"'})
    assert code(answer) == (412, "precondition_failed")
    assert owner.get("/api/auth/me").status_code == 200


def test_a_part_that_fails_leaves_everything_as_it_was(
    app: Flask, owner: Person, teammate: Person, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handing over and closing are one transaction."""
    ids = fill(owner, teammate)

    def fail(_user_id: UUID, _actor: object) -> None:
        raise RuntimeError("this part cannot be done")

    monkeypatch.setitem(closing._hooks, "broken", fail)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = admin.delete(user_path(owner), query_string={"reassign_to": "tariq"})
    app.config["PROPAGATE_EXCEPTIONS"] = None
    assert answer.status_code == 500
    with app.app_context():
        db.session.remove()
        counted = [
            session().scalar(sa.select(sa.func.count()).select_from(one)) for one in (Webhook, Comment)
        ]
    assert counted == [1, 2]
    assert owner.get(f"/api/tasks/{ids['mine']}").json["creator_id"] == str(owner.id)
    assert used(app, owner) == (len(CONTENT), 1)


def test_whoever_waits_is_told_how_far_it_is(app: Flask, owner: Person, teammate: Person) -> None:
    told: list[tuple[str, int, int]] = []
    with app.app_context(), transaction():
        deletion.delete_user(
            actor=None,
            user_id=owner.id,
            reassign_to="tariq",
            on_step=lambda name, number, of: told.append((name, number, of)),
        )
    names, numbers, of = zip(*told, strict=True)
    assert (numbers, set(of)) == (tuple(range(len(names))), {len(names)})
    # Handed over, and then settled.
    assert names.count("tasks") == 2
