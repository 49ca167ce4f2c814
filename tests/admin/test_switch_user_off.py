"""What runs by itself for a user who is switched off, and on again, by PATCH /api/admin/users/{id}"""

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.notifications.models import Email
from taskapi.schedules.engine.claims import claim_run
from taskapi.schedules.models import Run
from tests.accounts.helpers import code
from tests.admin.managing import user_path
from tests.notifications.outbox import emails, queue
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import tick


def switch(admin: Person, person: Person, *, on: bool) -> None:
    assert admin.patch(user_path(person), {"is_active": on}).status_code == 200


def status_of(admin: Person, schedule: dict[str, str]) -> str:
    return str(admin.get(f"/api/schedules/{schedule['id']}").json["status"])


def test_schedules_are_held_and_go_on_afterwards(
    app: Flask, owner: Person, admin: Person, time: Time
) -> None:
    schedule = make(owner, every=60)
    switch(admin, owner, on=False)
    assert status_of(admin, schedule) == "paused"
    time.pass_(seconds=200)
    tick(app)
    assert runs_of(admin, schedule) == []
    switch(admin, owner, on=True)
    tick(app)
    assert status_of(admin, schedule) == "active"
    # The due times of the pause fall under catch_up: by default the latest runs.
    found = [(run["status"], run["reason"]) for run in runs_of(admin, schedule)]
    assert found == [("skipped", "paused"), ("skipped", "paused"), ("completed", None)]


def test_what_its_owner_has_paused_stays_paused(owner: Person, admin: Person) -> None:
    schedule = make(owner, every=60)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    for on in (False, True):
        switch(admin, owner, on=on)
        assert status_of(admin, schedule) == "paused"


def test_runs_end_whether_they_wait_or_are_worked_on(
    app: Flask, owner: Person, admin: Person, time: Time
) -> None:
    schedule = make(owner, every=60)
    waiting, running = (owner.post(f"/api/schedules/{schedule['id']}/run").json["id"] for _ in range(2))
    with app.app_context(), transaction():
        claimed = session().scalars(sa.select(Run.id).order_by(Run.id.desc())).first()
        assert claimed is not None
        claim_run(claimed, worker="w", lease_seconds=60)
    switch(admin, owner, on=False)
    ended, told = (admin.get(f"/api/runs/{run}").json for run in (waiting, running))
    assert (ended["status"], ended["reason"]) == ("cancelled", "owner_inactive")
    assert (told["status"], told["cancel_requested_at"] is not None) == ("running", True)


def test_mails_that_wait_are_not_sent_any_more_but_those_of_the_account_are(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    with app.app_context():
        queue("of the team", user_id=owner.id)
        queue("of the account", user_id=owner.id)
        queue("another's", user_id=teammate.id)
        queue("to somebody else", sender_id=owner.id)
        queue("another's to somebody else", sender_id=teammate.id)
        with transaction():
            of_the_account = sa.update(Email).where(Email.key == "of the account")
            session().execute(of_the_account.values(kind="password_changed"))
    switch(admin, owner, on=False)
    switch(admin, owner, on=True)
    with app.app_context():
        found = {email.key: (email.status, email.last_error) for email in emails()}
    assert found == {
        "of the team": ("failed", "The account was switched off before it was sent."),
        "of the account": ("pending", None),
        "another's": ("pending", None),
        "to somebody else": ("failed", "The account was switched off before it was sent."),
        "another's to somebody else": ("pending", None),
    }


@pytest.mark.parametrize("what", ["resume", "run", "backfill", "edit", "retry"])
def test_nobody_has_anything_run_for_them_meanwhile(
    app: Flask, owner: Person, admin: Person, time: Time, what: str
) -> None:
    schedule = make(owner, every=60)
    done = make(owner, run_at="2026-11-20T09:00:00Z")
    tick(app)
    run = owner.post(f"/api/schedules/{schedule['id']}/run").json["id"]
    switch(admin, owner, on=False)
    path = f"/api/schedules/{schedule['id']}"
    past = {"from": "2026-11-20T08:00:00Z", "to": "2026-11-20T09:00:00Z"}
    calls = {
        "resume": ("POST", f"{path}/resume", None),
        "run": ("POST", f"{path}/run", None),
        "backfill": ("POST", f"{path}/backfill", past),
        "edit": ("PATCH", f"/api/schedules/{done['id']}", {"run_at": "2026-11-21T09:00:00Z"}),
        "retry": ("POST", f"/api/runs/{run}/retry", None),
    }
    assert code(admin.call(*calls[what])) == (409, "owner_inactive")


def test_others_go_on(owner: Person, teammate: Person, admin: Person) -> None:
    schedule = make(teammate, every=60)
    switch(admin, owner, on=False)
    assert status_of(admin, schedule) == "active"
