"""Writes those parts of the documents that follow from the code: ``python -m tests.docs.pages``.

``docs/configuration.md`` is made of ``.env.example``, which other tests compare with the settings; the
table of endpoints in the README is made of the OpenAPI document, which is ``docs/openapi.json``. What it was
at the last release stays in ``released.json``, for a test that no client of it breaks.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.docs.breaking import essence
from tests.document import DOCUMENT
from tests.e2e.installation import REPOSITORY

EXAMPLE, CONFIGURATION = REPOSITORY / ".env.example", REPOSITORY / "docs" / "configuration.md"
README = REPOSITORY / "README.md"
OPENAPI = REPOSITORY / "docs" / "openapi.json"
RELEASED = REPOSITORY / "tests" / "docs" / "released.json"
BEGIN, END = "<!-- endpoints: made by `make docs` -->\n", "<!-- end of the endpoints -->\n"
SECTION = re.compile(r"# --- (?P<title>.+) ---")
SETTING = re.compile(r"#?(?P<name>[A-Z][A-Z0-9_]+)=(?P<default>.*)")
FILE_MARK, NOTHING = " (file)", "\N{EN DASH}"
# Names of settings, and addresses.
CODE = re.compile(r"[A-Z0-9]+_[A-Z0-9_]+[^\s;,]*|\w+:/[^\s;,]+|X-Forwarded-\*")
CONFIGURATION_HEAD = """\
# Configuration

<!-- Made from .env.example by `make docs`: change that file. -->

Settings come from the environment, else from `.env` in the working directory, else they have the default
shown here; an empty value is none. [.env.example](../.env.example) is the same list, to be copied. What
cannot be understood stops the start with one clear line. A process reads its settings when it starts: after a
change start web, workers and scheduler again, all with the same.

A setting marked † may stand in a file of its own, as Docker and Kubernetes hand out secrets:
`SECRET_KEY_FILE=/run/secrets/key`. Truth is written `true`, `1`, `yes` or `on`, the contrary `false`, `0`,
`no` or `off`.
"""
# Which tags of the document stand together, in the order of the table.
GROUPS = {
    "Accounts and sign-in": ("accounts", "recovery", "second-factor", "tokens"),
    "Tasks": ("tasks", "task_history", "comments", "attachments", "tags", "imports"),
    "Schedules and runs": ("schedules", "runs", "backfills", "pings"),
    "Files": ("files", "uploads", "verification"),
    "Notifications and events": (
        "notifications",
        "changes",
        "live",
        "webhooks",
        "calendar_feeds",
        "calendar",
    ),
    "Analytics": ("analytics",),
    "Administration": (),
    "Health": ("health",),
}


@dataclass(frozen=True)
class Setting:
    """One setting as ``.env.example`` offers it."""

    section: str
    name: str
    default: str
    meaning: str

    @property
    def may_be_a_file(self) -> bool:
        return FILE_MARK in self.meaning


def settings() -> Iterator[Setting]:
    """What ``.env.example`` offers; the comment above a setting is what it means."""
    section, meaning = "", ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if found := SECTION.fullmatch(line):
            section, meaning = found["title"], ""
        elif found := SETTING.fullmatch(line):
            yield Setting(section, found["name"], found["default"], meaning.strip())
            meaning = ""
        else:
            meaning += line.removeprefix("#")


def configuration_page() -> str:
    """``docs/configuration.md``."""
    lines, section = [CONFIGURATION_HEAD], ""
    for setting in settings():
        if setting.section != section:
            section = setting.section
            title, _, note = section.partition(": ")
            lines.append(f"## {title}\n")
            lines += [f"{note[0].upper()}{note[1:]}.\n"] if note else []
            lines.append("| setting | default | what it says |\n|---|---|---|")
        lines.append(_row_of(setting))
    return "\n".join(lines).replace("|\n## ", "|\n\n## ") + "\n"


def _row_of(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else NOTHING
    mark = " †" if setting.may_be_a_file else ""
    meaning = CODE.sub(r"`\g<0>`", setting.meaning.replace(FILE_MARK, "").replace("|", "\\|"))
    return f"| `{setting.name}`{mark} | {default} | {meaning} |"


def endpoint_table() -> str:
    """The part of the README between its marks: a table for each group, folded away."""
    rows: dict[str, list[str]] = {group: [] for group in GROUPS}
    for path, operations in DOCUMENT["paths"].items():
        for methods, operation in _together(operations):
            asked = ", ".join(_access(entry) for entry in operation["security"]) or NOTHING
            row = f"| {' '.join(methods)} | `{path}` | {operation['summary']} | {asked} |"
            rows[_group_of(operation["tags"][0])].append(row)
    head = "| | path | what it does | needs |\n|---|---|---|---|\n"
    tables = {group: head + "\n".join(found) for group, found in rows.items() if found}
    return "\n".join(
        f"<details>\n<summary>{group}</summary>\n\n{table}\n\n</details>\n" for group, table in tables.items()
    )


def _group_of(tag: str) -> str:
    return next((group for group, tags in GROUPS.items() if tag in tags), "Administration")


def _together(operations: dict[str, Any]) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """The operations of a path; methods that do the same, as PUT and PATCH do, share one row."""
    by_summary: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for method, operation in operations.items():
        if method != "parameters":
            by_summary.setdefault(operation["summary"], ([], operation))[0].append(method.upper())
    yield from by_summary.values()


def _access(entry: dict[str, list[str]]) -> str:
    """What a token needs: a scope, ``session`` for having signed in, or being the refresh token."""
    ((scheme, roles),) = entry.items()
    return ", ".join(f"`{role}`" for role in roles) or {"bearer": "a token"}.get(scheme, f"{scheme} token")


def readme_page() -> str:
    """The README with the table of endpoints as it ought to be."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{endpoint_table()}\n{END}{after}"


def openapi_file() -> str:
    """``docs/openapi.json``: the document as it is served, in a form whose changes can be read."""
    return json.dumps(DOCUMENT, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def released_file() -> str:
    """``released.json``: when a new version begins, what is committed of the one before is its release."""
    if RELEASED.exists():
        committed = json.loads(OPENAPI.read_text(encoding="utf-8"))
        if committed["info"]["version"] == DOCUMENT["info"]["version"]:
            return RELEASED.read_text(encoding="utf-8")
    else:
        committed = DOCUMENT
    return json.dumps(essence(committed), indent=None, sort_keys=True, ensure_ascii=False) + "\n"


def write_pages() -> None:
    RELEASED.write_text(released_file(), encoding="utf-8")
    OPENAPI.write_text(openapi_file(), encoding="utf-8")
    CONFIGURATION.write_text(configuration_page(), encoding="utf-8")
    README.write_text(readme_page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
