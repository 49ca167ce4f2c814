"""Queues and jobs, which are known by name only."""

import importlib
import inspect

import pytest
from flask import Flask

from taskapi.background import names
from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.background.worker import TaskWorker
from taskapi.ops.scheduling import HOUSEKEEPING
from tests.rules.sources import APPLICATION, functions

JOBS = sorted(
    value for name, value in vars(names).items() if name.isupper() and isinstance(value, str) and "." in value
)
DEFINED = sorted(
    f"taskapi.{path.parent.name}.jobs.{function.name}"
    for path in APPLICATION
    if path.name == "jobs.py"
    for function in functions(path)
    if not function.name.startswith("_")
)


def test_every_queue_has_a_worker(context: Flask) -> None:
    worker = TaskWorker(context, connection=redis_client())
    assert worker.queue_names() == [queue.value for queue in Queue]


@pytest.mark.parametrize("name", JOBS)
def test_every_job_name_leads_to_a_function_of_a_jobs_file(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    function = getattr(importlib.import_module(module), attribute)
    assert inspect.isfunction(function)
    assert function.__module__ == module
    assert module.endswith(".jobs")


def test_every_job_has_a_name() -> None:
    assert JOBS == DEFINED


def test_every_housekeeping_entry_is_a_job_with_an_id_of_its_own() -> None:
    assert {entry.job_name for entry in HOUSEKEEPING} <= set(JOBS)
    assert len({entry.id for entry in HOUSEKEEPING}) == len(HOUSEKEEPING)
