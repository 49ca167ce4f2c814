"""Jobs of the tasks room, called by workers."""

from uuid import UUID

from taskapi.tasks import overdue, purging, weather_filling
from taskapi.tasks.importing import lease, running


def fill_weather(task_id: str) -> None:
    """Fill in the weather of a task that was made without."""
    weather_filling.fill_weather(task_id=UUID(task_id))


def sweep_weather() -> None:
    """Fill in weather that is missing after a failure."""
    weather_filling.sweep_weather()


def import_tasks(import_id: str) -> None:
    """Read in a slice of a table of tasks, or undo one."""
    running.work_on(import_id=UUID(import_id))


def sweep_imports() -> None:
    """Go on with imports whose worker died or whose job was lost."""
    lease.sweep()


def mark_overdue() -> None:
    """Mark the tasks whose due date has passed."""
    overdue.mark_overdue()


def purge_tasks() -> None:
    """Forget tasks that were deleted long ago, if the settings say so."""
    purging.purge_tasks()
