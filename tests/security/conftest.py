"""What tests of the whole installation take from the rooms."""

from tests.core.conftest import log_to
from tests.events.conftest import stranger
from tests.events.live.conftest import listening
from tests.files.conftest import empty_store
from tests.notifications.conftest import mail_server, running_mail_server
from tests.schedules.actions.conftest import receiver, running

__all__ = (
    "empty_store",
    "listening",
    "log_to",
    "mail_server",
    "receiver",
    "running",
    "running_mail_server",
    "stranger",
)
