"""``flask admin doctor``: is everything as it should be, and if not, what to do."""

from dataclasses import asdict

import click
from flask import Flask, current_app
from rich.console import Console
from rich.text import Text

from taskapi.core.cli import as_json_option
from taskapi.ops.doctor.examination import all_checks, examine
from taskapi.ops.doctor.findings import FAIL, OK, SKIP, WARN, Finding

STYLES = {OK: "green", WARN: "yellow", FAIL: "bold red", SKIP: "dim"}


@click.command("doctor")
@click.option("--mail", "mail_to", metavar="ADDRESS", help="Where the test message goes; else the sender.")
@as_json_option
def doctor(mail_to: str | None, as_json: bool) -> None:
    """Look at every part of this installation and say what to do.

    Ends with 0 when nothing failed; warnings are allowed. With 1 when anything failed.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    console = Console(soft_wrap=True, highlight=False)
    found: list[Finding] = []
    for finding in examine(app, all_checks(mail_to=mail_to)):
        found.append(finding)
        if not as_json:
            console.print(_line(finding))
    if as_json:
        click.echo(current_app.json.dumps([asdict(finding) for finding in found]))
    if any(finding.status == FAIL for finding in found):
        raise SystemExit(1)


def _line(finding: Finding) -> Text:
    # As Text, for brackets in what servers say are no markup.
    line = Text(f"{finding.status:<5}", style=STYLES[finding.status])
    line.append(f"{finding.check:<15} {finding.detail}", style="default")
    if finding.advice:
        line.append(f" -> {finding.advice}", style="default")
    return line
