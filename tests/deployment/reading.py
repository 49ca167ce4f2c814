"""The files that others deploy by, as their tests look at them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from honcho.environ import parse_procfile
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def read_yaml(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(read(name))


def commands() -> dict[str, str]:
    """What the Procfile starts, by name."""
    return dict(parse_procfile(read("Procfile")).processes)


def complaints(*command: str | Path) -> str:
    """What a checker says against us; nothing if it is content."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def against_schema(schema: str, *files: str) -> str:
    """What a published schema, shipped with check-jsonschema, says against the files."""
    return complaints("check-jsonschema", "--builtin-schema", schema, *files)
