"""All models in one place, for migrations; rooms refer to each other's tables by name."""

from taskapi.accounts.models import (
    OneTimeToken,
    PersonalToken,
    RecoveryCode,
    RefreshToken,
    SecondFactor,
    SignInFailures,
    SignInSession,
    User,
)
from taskapi.core.events import Event
from taskapi.core.idempotency import IdempotencyKey
from taskapi.events.models import FailedDelivery
from taskapi.notifications.models import Email, MailSuppression, Notification
from taskapi.ops.models import Heartbeat, SelfAudit
from taskapi.schedules.bookkeeping import Backfill, RunAllowance, RunCounts, RunLogLine
from taskapi.schedules.models import Run, Schedule

ALL_MODELS = (
    Backfill,
    Email,
    Event,
    FailedDelivery,
    Heartbeat,
    IdempotencyKey,
    MailSuppression,
    Notification,
    OneTimeToken,
    PersonalToken,
    RecoveryCode,
    RefreshToken,
    Run,
    RunAllowance,
    RunCounts,
    RunLogLine,
    Schedule,
    SecondFactor,
    SelfAudit,
    SignInFailures,
    SignInSession,
    User,
)
