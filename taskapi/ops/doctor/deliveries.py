"""What did not arrive, and what is damaged."""

from taskapi.events.webhooks import figures as webhooks
from taskapi.files import figures as files
from taskapi.notifications import figures as notifications
from taskapi.ops.doctor.findings import Finding, fail, ok, skip, warn


def look_at_emails() -> Finding:
    """E-mails left."""
    counts = notifications.count_faults()
    if not any(counts.values()):
        return ok("none failed within a day")
    detail = f"{counts['failed']} failed within a day, {counts['waiting']} wait to be tried again"
    return warn(detail, "see what is said of mail; their last_error tells more")


def look_at_webhooks() -> Finding:
    """Receivers take what they are sent."""
    counts = webhooks.count_faults()
    if not any(counts.values()):
        return ok("no delivery failed within a day")
    detail = "{failed} deliveries failed within a day, {retrying} webhooks retry, {disabled} are switched off"
    return warn(detail.format(**counts), "their owners see why in the log of deliveries")


def look_at_files() -> Finding:
    """Contents are as they were uploaded, as far as they were looked at."""
    counts = files.count_faults()
    damaged = counts["missing"] + counts["changed"]
    if damaged:
        advice = "run 'flask admin files list --damaged', and take them from a backup"
        return fail("{missing} missing, {changed} changed".format(**counts), advice)
    if counts["undeleted"]:
        return warn(f"{counts['undeleted']} objects wait to be deleted", "see what is said of storage")
    return ok("none is known to be damaged")


def look_at_audit() -> Finding:
    """That takes longer: it has a command of its own."""
    return skip("its chain is not followed here", "run 'flask admin audit verify'")
