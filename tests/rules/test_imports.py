"""The direction of imports; the contracts stand in setup.cfg."""

import subprocess
import sys
from pathlib import Path

from tests.rules.sources import REPOSITORY


def test_rooms_import_each_other_in_the_agreed_direction_only() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
