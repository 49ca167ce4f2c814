"""The units that docs/backup.md shows fit those that are installed."""

import re
from pathlib import Path

from tests.deployment.test_systemd import analyze, installed, needs_systemd
from tests.e2e.installation import BIN, REPOSITORY

__all__ = ("installed",)
PAGE = (REPOSITORY / "docs" / "backup.md").read_text(encoding="utf-8")
UNITS = dict(re.findall(r"^```ini\n# /etc/systemd/system/(\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))


@needs_systemd
def test_systemd_understands_them(installed: Path) -> None:
    assert set(UNITS) == {"taskapi-backup.service", "taskapi-backup.timer"}
    for name, text in UNITS.items():
        (installed / name).write_text(text.replace("/opt/taskapi/bin/", f"{BIN}/"))
    assert analyze(installed, "verify", "--man=no", *UNITS) == ""


def test_the_service_may_write_where_it_writes() -> None:
    # common.conf, which holds for each taskapi-….service, makes all else read-only.
    text = UNITS["taskapi-backup.service"]
    (writable,) = re.findall(r"^ReadWritePaths=(.+)$", text, re.MULTILINE)
    (written,) = re.findall(r"admin backup (\S+)/\$", text)
    assert written == writable
    assert f"install -d -o taskapi -m 700 {writable}" in PAGE
