"""What is recorded of the things that people follow is what they can ask for."""

import ast
import re

from taskapi.events.webhooks.patterns import VERBS
from tests.rules.sources import APPLICATION

TYPE = re.compile(rf"({'|'.join(VERBS)})\.[a-z_]+")
# The type of what ends is made of its status; the last is for who lost sight of a thing.
BY_STATUS = {"run": {"completed", "failed", "cancelled"}, "import": {"undone"}}
MADE_WHEN_TOLD = {"removed"}


def types_in(source: str) -> set[str]:
    """The types of events that a module names, but for lines of the log."""
    tree = ast.parse(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    logged = {
        id(argument)
        for call in calls
        if ast.unparse(call.func).startswith(("log.", "log_often"))
        for argument in call.args
    }
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in logged]
    return {node.value for node in constants if isinstance(node.value, str) and TYPE.fullmatch(node.value)}


def test_every_type_that_the_code_names_is_known_and_every_known_one_is_named() -> None:
    named = set().union(*(types_in(path.read_text()) for path in APPLICATION))
    by_status = {f"{kind}.{verb}" for kind, verbs in BY_STATUS.items() for verb in verbs}
    known = {f"{kind}.{verb}" for kind, verbs in VERBS.items() for verb in set(verbs) - MADE_WHEN_TOLD}
    assert named | by_status == known
