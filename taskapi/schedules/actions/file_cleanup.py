"""``file_cleanup``: deletes the owner's old files, or an administrator's choice of everybody's."""

from datetime import timedelta
from typing import Any

import orjson

from taskapi.core.schemas import Flag, Number, Schema, Text
from taskapi.files.cleanup import OldFile, delete_old_files, find_old_files
from taskapi.schedules.actions.base import Action, RunContext

HUNDRED_YEARS_IN_DAYS = 36_500
# What a run's result may hold is 64 KiB; the log names the files that do not fit.
NAMED_BYTES = 60_000
# As many as fit into a line of the log, however long they are.
NAMES_IN_A_LINE = 13


class FileCleanupParams(Schema):
    """Which files go."""

    older_than_days = Number(minimum=0, maximum=HUNDRED_YEARS_IN_DAYS, required=True)
    name_pattern = Text(minimum=1, maximum=255, load_default="*")
    dry_run = Flag(load_default=False)
    attached = Flag(
        load_default=False, metadata={"description": "Also files of tasks that are still to be done"}
    )
    all_owners = Flag(
        load_default=False, metadata={"description": "Everybody's files; for administrators only"}
    )


class _Report:
    """What is told of a cleanup: the first files by name in the result, the rest in the log.

    What is deleted is named in the log in any case: an attempt that breaks off has no result.
    """

    def __init__(self, context: RunContext, *, dry_run: bool) -> None:
        self._context, self._dry_run = context, dry_run
        self._count = self._bytes = 0
        self._named: list[dict[str, Any]] = []
        self._room = NAMED_BYTES

    def add(self, files: list[OldFile]) -> None:
        unnamed = [file for file in files if not self._is_named(file)]
        logged = unnamed if self._dry_run else files
        for first in range(0, len(logged), NAMES_IN_A_LINE):
            names = [f"{file.id} {file.filename}" for file in logged[first : first + NAMES_IN_A_LINE]]
            self._context.log(f"{'Would delete' if self._dry_run else 'Deleted'} {', '.join(names)}")
        self._count += len(files)
        self._bytes += sum(file.size for file in files)
        self._context.progress(self._count)

    def result(self) -> dict[str, Any]:
        return {
            "dry_run": self._dry_run,
            "count": self._count,
            "bytes": self._bytes,
            "files": self._named,
            "more": self._count - len(self._named),
        }

    def _is_named(self, file: OldFile) -> bool:
        """Name the file in the result, if it fits."""
        entry = {"id": str(file.id), "filename": file.filename, "size": file.size}
        self._room -= len(orjson.dumps(entry)) + 1
        if self._room < 0:
            return False
        self._named.append(entry)
        return True


def clean_up(context: RunContext, params: dict[str, Any]) -> dict[str, Any]:
    """Delete batch by batch; a run that is cancelled or tried again leaves what is done as it is."""
    report = _Report(context, dry_run=params["dry_run"])
    batches = find_old_files(
        owner_id=None if params["all_owners"] else context.owner_id,
        older_than=timedelta(days=params["older_than_days"]),
        name_pattern=params["name_pattern"],
        attached=params["attached"],
    )
    for batch in batches:
        context.check_cancelled()
        if not params["dry_run"]:
            reason = f"run {context.run_id}"
            batch = delete_old_files(files=batch, actor_id=context.owner_id, reason=reason)
        report.add(batch)
    return report.result()


FILE_CLEANUP = Action(
    "file_cleanup", "Deletes old files", FileCleanupParams, clean_up, admin_params=("all_owners",)
)
