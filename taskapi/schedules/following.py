"""What who follows schedules and runs is shown; secrets are hidden as in all answers."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.schedules import queries
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.run_schemas import RunSchema
from taskapi.schedules.schemas import ScheduleSchema


def show_schedules(ids: Collection[UUID]) -> Mapping[UUID, dict[str, Any]]:
    """Schedules that were not deleted, each with its last run and statistics."""
    living = sa.select(Schedule).where(Schedule.id.in_(ids), Schedule.deleted_at.is_(None))
    schedules = session().scalars(living).all()
    queries.attach_history(schedules)
    schema = ScheduleSchema()
    return {schedule.id: schema.dump(schedule) for schedule in schedules}


def show_runs(ids: Collection[UUID]) -> Mapping[UUID, dict[str, Any]]:
    """Runs."""
    schema = RunSchema()
    return {run.id: schema.dump(run) for run in session().scalars(sa.select(Run).where(Run.id.in_(ids)))}
