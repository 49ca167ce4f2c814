"""All models in one place, for migrations; rooms refer to each other's tables by name."""

from taskapi.accounts.models import RefreshToken, SignInSession, User
from taskapi.core.events import Event
from taskapi.events.models import FailedDelivery
from taskapi.notifications.models import Email, MailSuppression, Notification
from taskapi.ops.models import Heartbeat
from taskapi.schedules.models import Run, RunLogLine, Schedule

ALL_MODELS = (
    Email,
    Event,
    FailedDelivery,
    Heartbeat,
    MailSuppression,
    Notification,
    RefreshToken,
    Run,
    RunLogLine,
    Schedule,
    SignInSession,
    User,
)
