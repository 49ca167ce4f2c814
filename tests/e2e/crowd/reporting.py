"""A report whose worker finds no room to keep it: its run waits, and is tried again until there is some."""

from dataclasses import dataclass

from tests.e2e.installation import ApiUser, in_seconds, wait_for

TASKS = 300
TRIED_WITHIN_SECONDS = 60.0
# The waits add up to more than the longest time without room.
RETRY = {"max_attempts": 20, "delay": 10, "factor": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of it: why it was put off, how its run ended, and of how many tasks its file tells."""

    put_off: str | None
    status: str
    tasks: int


@dataclass
class Reporter:
    """Somebody whose tasks fill a file, with nothing else that waits for workers."""

    user: ApiUser
    put_off: str | None = None

    def begin(self) -> None:
        """Have a report made, and wait until it could not be kept."""
        params = {"kind": "tasks", "format": "csv"}
        body = {"name": "report", "action": "report", "params": params, "notify": [], "retry": RETRY}
        self.user.post("/schedules", {**body, "run_at": in_seconds(0.5)})
        self.put_off = wait_for(self._error, seconds=TRIED_WITHIN_SECONDS, what="a report without room")

    def _error(self) -> str | None:
        for run in self.user.all_runs():
            if run["error"] is not None:
                return str(run["error"]["code"])
        return None

    def found(self) -> Report:
        """Once all runs have ended."""
        (run,) = self.user.all_runs()
        tasks = 0
        if run["status"] == "completed":
            path = f"{self.user.url}/files/{run['result']['file_id']}/content"
            tasks = len(self.user.session.get(path, timeout=30).text.splitlines()) - 1
        return Report(put_off=self.put_off, status=run["status"], tasks=tasks)


def reporter(user: ApiUser) -> Reporter:
    """Give the user tasks of which a report takes more room than there will be."""
    user.post("/tasks/bulk", {"tasks": [{"title": f"Water plant {number}"} for number in range(TASKS)]})
    return Reporter(user)
