"""What lies in Redis or a file is data: nothing that is read back could run code."""

import ast
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from rq.serializers import JSONSerializer

from taskapi.background.rq_json import JsonJob, JsonQueue
from tests.rules.sources import APPLICATION, name_of

# Whoever can write what they read can have any code run; RQ pickles unless it is told not to.
READERS = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
PICKLING = {"DefaultSerializer", "PickleSerializer"}


def names_in(path: Path) -> Iterator[str]:
    """Modules that are imported, names that are used, and short texts by which a module could be found."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (part for each in node.names for part in each.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "").split(".")
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 60:
            yield from node.value.split(".")


def test_nothing_reads_what_could_run_code() -> None:
    found = {name_of(path): set(names_in(path)) & (READERS | PICKLING) for path in APPLICATION}
    assert {name: names for name, names in found.items() if names} == {}


def test_jobs_are_json_whoever_makes_or_fetches_them() -> None:
    queue = JsonQueue("runs", connection=Redis())
    assert {queue.serializer, JsonJob("one", connection=Redis()).serializer} == {JSONSerializer}
    assert queue.job_class is JsonJob


def test_a_reader_is_found_however_it_is_come_by(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    for text in (
        "import pickle",
        "from dill import loads",
        "x = rq.serializers.DefaultSerializer",
        "import_module('marshal').loads(data)",
        "x = {'serializer': 'rq.serializers.PickleSerializer'}",
    ):
        source.write_text(text)
        assert set(names_in(source)) & (READERS | PICKLING), text
