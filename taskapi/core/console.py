"""Lines of the log for people to read."""

import re
from collections.abc import MutableMapping
from typing import Any

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def in_one_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Nobody's text begins a line of its own, or commands a terminal; a traceback has its lines."""
    return {
        key: CONTROLS.sub(_escaped, value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
