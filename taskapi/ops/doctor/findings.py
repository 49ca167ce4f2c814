"""What a check finds."""

from dataclasses import dataclass

OK, WARN, FAIL, SKIP = "ok", "warn", "fail", "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        status: ``ok``, ``warn``, ``fail``, or ``skip`` for what could not be looked at.
        advice: what to do; None where nothing is to be done.
        check: the name of the check, known once it has run.
    """

    check: str
    status: str
    detail: str
    advice: str | None


def ok(detail: str, advice: str | None = None) -> Finding:
    return Finding("", OK, detail, advice)


def warn(detail: str, advice: str) -> Finding:
    return Finding("", WARN, detail, advice)


def fail(detail: str, advice: str) -> Finding:
    return Finding("", FAIL, detail, advice)


def skip(detail: str, advice: str | None = None) -> Finding:
    return Finding("", SKIP, detail, advice)
