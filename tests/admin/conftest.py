"""Mail that really leaves, and a clock that stands."""

from tests.notifications.conftest import mail_server, running_mail_server  # noqa: F401 - fixtures
from tests.schedules.conftest import time  # noqa: F401 - a fixture
