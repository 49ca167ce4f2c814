"""What must be true once all is quiet again, whatever went wrong before."""

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from redis import Redis
from rq.utils import as_text

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.events.models import FailedDelivery
from taskapi.events.webhooks.models import WebhookDelivery
from taskapi.notifications.models import Email
from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.engine import counts
from taskapi.schedules.engine.claims import IS_OPEN
from taskapi.schedules.models import Run, Schedule
from tests.events.webhooks.making import Inbox
from tests.schedules.faults.scenario import Scenario
from tests.smtp import MailServer

# What Redis says of a key that stays.
LASTS = -1
ENDS = ("run.completed", "run.failed", "run.cancelled")


def is_quiet(app: Flask) -> bool:
    """Whether nobody has anything left to do."""
    left = (
        sa.select(Run.id).where(IS_OPEN),
        sa.select(Schedule.id).where(Schedule.status == "active", Schedule.next_run_at.is_(None)),
        sa.select(Schedule.id).where(Schedule.set_aside_until.is_not(None)),
        sa.select(Backfill.id).where(Backfill.status == "running"),
        sa.select(Event.id).where(Event.position.is_(None)),
        sa.select(FailedDelivery.id),
        sa.select(WebhookDelivery.id).where(WebhookDelivery.status == "pending"),
        sa.select(Email.id).where(Email.status.in_(("pending", "sending"))),
    )
    with app.app_context():
        nothing = not any(session().scalar(sa.select(sa.exists(found))) for found in left)
        return nothing and not any(redis_client().llen(f"rq:queue:{queue}") for queue in Queue)


def check(scenario: Scenario, *, mails_may_come_twice: bool) -> None:
    """All of it."""
    world = scenario.world
    with world.app.app_context():
        runs = session().scalars(sa.select(Run)).all()
        check_runs(scenario, runs)
        check_counts(runs)
        check_ends(runs)
        check_none_set_aside()
        check_calls(world.called, [run.id for run in runs if run.action == "webhook"])
        reminders = [run.id for run in runs if run.action == "reminder"]
        check_mails(world.mails, reminders, may_come_twice=mails_may_come_twice)
        check_told(world.told)
        check_redis(redis_client())
    assert {call.run_id for call in world.probe.calls} == {run.id for run in runs if run.action == "probe"}
    check_attempts((call.run_id, call.attempt) for call in world.probe.calls)


def check_runs(scenario: Scenario, runs: Sequence[Run]) -> None:
    """One completed run for each due time, none of them early, and none but those."""
    found = Counter((run.schedule_id, run.scheduled_for) for run in runs if run.trigger != "manual")
    assert found == Counter((schedule, at) for schedule, due in scenario.due.items() for at in due)
    assert {run.id for run in runs if run.trigger == "manual"} == set(scenario.by_hand)
    assert [
        (run.action, run.status, run.reason, run.error) for run in runs if run.status != "completed"
    ] == []
    assert all(run.first_started_at is not None and run.first_started_at >= run.due_at for run in runs)
    closed = session().scalars(sa.select(Schedule.id).where(Schedule.status == "completed")).all()
    assert set(closed) == set(scenario.due)


def check_none_set_aside() -> None:
    """A server that is away or slow is no schedule's fault."""
    assert session().scalars(sa.select(Event.after).where(Event.type == "schedule.set_aside")).all() == []


def check_attempts(begun: Iterable[tuple[UUID, int]]) -> None:
    """None began twice, whatever its worker believed of its claim."""
    assert [attempt for attempt, number in Counter(begun).items() if number > 1] == []


def check_counts(runs: Sequence[Run]) -> None:
    """What is kept is what a recount finds."""
    for schedule_id in {run.schedule_id for run in runs}:
        recounted = Counter(run.status for run in runs if run.schedule_id == schedule_id)
        assert counts.counted([schedule_id]).get(schedule_id) == recounted


def check_ends(runs: Sequence[Run]) -> None:
    """Each run, and each schedule, has ended once; and each event has its place."""
    events = session().scalars(sa.select(Event)).all()
    ends = Counter(event.subject_id for event in events if event.type in ENDS)
    assert ends == Counter(run.id for run in runs if run.status != "skipped")
    closed = Counter(event.subject_id for event in events if event.type == "schedule.completed")
    assert set(closed.values()) <= {1}
    places = sorted(event.position or 0 for event in events)
    assert places == list(range(places[0], places[0] + len(places)))


def check_calls(called: Inbox, run_ids: Sequence[UUID]) -> None:
    """Whoever was called knows by the key which calls are one."""
    assert {request.headers["Idempotency-Key"] for request in called.requests} == set(map(str, run_ids))


def check_mails(mails: MailServer, run_ids: Sequence[UUID], *, may_come_twice: bool) -> None:
    """Each reminder is one mail, under one id should it come twice."""
    emails = session().scalars(sa.select(Email).where(Email.kind == "reminder")).all()
    assert {email.key.split(":")[1] for email in emails} == set(map(str, run_ids))
    assert [email.status for email in emails] == ["sent"] * len(run_ids)
    arrived = Counter(str(message["Message-ID"]) for message in mails.messages)
    assert {name.strip("<>").partition("@")[0] for name in arrived} == {str(email.id) for email in emails}
    assert max(arrived.values()) <= 1 + may_come_twice, arrived


def check_told(told: Inbox) -> None:
    """Each event of its kinds came at least once, under one id, and in their order at first."""
    wanted = sa.select(Event.id).where(sa.or_(Event.type.like("run.%"), Event.type == "schedule.completed"))
    deliveries = session().scalars(sa.select(WebhookDelivery).order_by(WebhookDelivery.position)).all()
    assert {delivery.status for delivery in deliveries} <= {"succeeded"}
    assert {delivery.message_id for delivery in deliveries} == set(session().scalars(wanted))
    first_seen = list(dict.fromkeys(told.ids))
    assert first_seen == [str(delivery.message_id) for delivery in deliveries]


def check_redis(redis: Redis) -> None:
    """Nothing waits, nobody works, and no job lies there that nobody will ever do."""
    keys = [as_text(key) for key in redis.keys("rq:*")]
    assert [key for key in keys if key.startswith(("rq:queue:", "rq:wip:")) and "scheduler" not in key] == []
    kept = [key for key in keys if key.startswith(("rq:job:", "rq:execution", "rq:results:"))]
    # Some of them may go away just now.
    lasting = [key for key in kept if redis.ttl(key) == LASTS]
    assert lasting == [], lasting
    assert redis.smembers("rq:workers") == set()
