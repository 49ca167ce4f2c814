"""Names that services use to start work: queues, and jobs by their dotted path.

Services must not import jobs (jobs import services), so a job is a string here; a test
imports every one.
"""

from enum import StrEnum


class Queue(StrEnum):
    """Queues in the order in which a worker looks at them."""

    HOUSEKEEPING = "housekeeping"
    RUNS = "runs"
    # Runs that only wait for somebody else's answer, where workers have threads for these.
    CALLS = "calls"
    MAIL = "mail"
    # What waits for webhooks, a slice of each at a time.
    WEBHOOKS = "webhooks"
    # What exceeds a user's share of RUNS: after it, so that nobody's backlog is everybody's.
    RUNS_BULK = "runs-bulk"
    CALLS_BULK = "calls-bulk"
    # Tables of tasks, a slice at a time.
    IMPORTS = "imports"
    # What nobody waits for.
    LATER = "later"


# Queues whose jobs mostly wait for somebody else's server: many can be done at a time. Each group has a
# process of its own, as a call may take as long as its schedule says, and no mail is to wait for that.
WAITING_QUEUES = ((Queue.MAIL, Queue.WEBHOOKS), (Queue.CALLS, Queue.CALLS_BULK))
RUN_QUEUES = (Queue.RUNS, Queue.CALLS, Queue.RUNS_BULK, Queue.CALLS_BULK)

EXECUTE_RUN = "taskapi.schedules.jobs.execute_run"
RESCUE_RUNS = "taskapi.schedules.jobs.rescue_runs"
TAKE_BACK_RUNS = "taskapi.schedules.jobs.take_back_runs"
DELIVER_EMAIL = "taskapi.notifications.jobs.deliver_email"
SWEEP_EMAILS = "taskapi.notifications.jobs.sweep_emails"
FORGET_OLD_RUNS = "taskapi.schedules.jobs.forget_old_runs"
FORGET_OLD_ROWS = "taskapi.ops.jobs.forget_old_rows"
REMOVE_OBJECT = "taskapi.files.jobs.remove_object"
SWEEP_OBJECTS = "taskapi.files.jobs.sweep_objects"
SAMPLE_FILES = "taskapi.files.jobs.sample_files"
FILL_WEATHER = "taskapi.tasks.jobs.fill_weather"
SWEEP_WEATHER = "taskapi.tasks.jobs.sweep_weather"
MARK_OVERDUE = "taskapi.tasks.jobs.mark_overdue"
PURGE_TASKS = "taskapi.tasks.jobs.purge_tasks"
IMPORT_TASKS = "taskapi.tasks.jobs.import_tasks"
SWEEP_IMPORTS = "taskapi.tasks.jobs.sweep_imports"
SEND_WEBHOOK = "taskapi.events.jobs.send_webhook"
SWEEP_WEBHOOKS = "taskapi.events.jobs.sweep_webhooks"
FORGET_DELIVERIES = "taskapi.events.jobs.forget_deliveries"

# Jobs that take the id of a row and do nothing when it is gone: a worker calls them once with
# an id that nobody has, so that each work-horse finds their code and statements prepared.
TAKE_AN_ID = (EXECUTE_RUN, DELIVER_EMAIL, SEND_WEBHOOK)
