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


class InvalidCron(ValidationFailed):
    """The cron line cannot be read, or no date fits it; ``errors`` says why."""

    code = "invalid_cron"
    title = "Invalid cron line"
