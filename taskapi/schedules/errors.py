"""What can go wrong with schedules and runs."""

from taskapi.core.errors import Conflict, NotFound, ValidationFailed


class ScheduleNotFound(NotFound):
    """There is no such schedule, or the caller may not see it."""

    code = "schedule_not_found"
    title = "Schedule not found"


class RunNotFound(NotFound):
    """There is no such run, or the caller may not see it."""

    code = "run_not_found"
    title = "Run not found"


class ScheduleCancelled(Conflict):
    """The schedule was cancelled, which is final."""

    code = "schedule_cancelled"
    title = "Schedule cancelled"


class ScheduleCompleted(Conflict):
    """The schedule has no due time left."""

    code = "schedule_completed"
    title = "Schedule completed"


class ScheduleBusy(Conflict):
    """Very many due times wait for their verdict: try again after ``Retry-After`` seconds."""

    code = "schedule_busy"
    title = "Schedule busy"


class TooManySchedules(Conflict):
    """One has as many active and paused schedules as one may: cancel some, or ask the operator for more."""

    code = "too_many_schedules"
    title = "Too many schedules"


class OwnerInactive(Conflict):
    """Nothing runs for somebody who is switched off: activate them first, or hand their schedules over."""

    code = "owner_inactive"
    title = "Owner is inactive"


class RunFinished(Conflict):
    """The run has ended, and stays as it is."""

    code = "run_finished"
    title = "Run finished"


class RunNotFinished(Conflict):
    """The run has not ended yet: cancel it, or wait for its end."""

    code = "run_not_finished"
    title = "Run not finished"


class BackfillNotFound(NotFound):
    """The schedule has no such backfill."""

    code = "backfill_not_found"
    title = "Backfill not found"


class BackfillFinished(Conflict):
    """The backfill has ended already."""

    code = "backfill_finished"
    title = "Backfill finished"


class InvalidCron(ValidationFailed):
    """The cron line cannot be read, or no date fits it; ``errors`` says why."""

    code = "invalid_cron"
    title = "Invalid cron line"


class InvalidRrule(ValidationFailed):
    """The recurrence rule cannot be read, or no date fits it; ``errors`` says why."""

    code = "invalid_rrule"
    title = "Invalid recurrence rule"
