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
from taskapi.calendar.models import CalendarFeed
from taskapi.core.events import Event
from taskapi.core.freshness import DataVersion
from taskapi.core.heartbeats import Heartbeat
from taskapi.core.idempotency import IdempotencyKey
from taskapi.events.models import AuditHead, EventReader, FailedDelivery, ForgottenEvents
from taskapi.events.webhooks.models import Webhook, WebhookDelivery
from taskapi.files.models import DiscardedObject, FileUsage, IntegrityPass, StoredFile
from taskapi.notifications.models import Email, MailSuppression, Notification
from taskapi.ops.models import SelfAudit
from taskapi.schedules.bookkeeping import Backfill, RunAllowance, RunCounts, RunLogLine
from taskapi.schedules.models import Run, Schedule
from taskapi.tasks.importing.models import TaskImport, TaskImportChange
from taskapi.tasks.models import Comment, Tag, Task, TaskTag, TaskWords

ALL_MODELS = (
    AuditHead,
    Backfill,
    CalendarFeed,
    Comment,
    DataVersion,
    DiscardedObject,
    Email,
    Event,
    EventReader,
    FailedDelivery,
    FileUsage,
    ForgottenEvents,
    Heartbeat,
    IdempotencyKey,
    IntegrityPass,
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
    StoredFile,
    Tag,
    Task,
    TaskImport,
    TaskImportChange,
    TaskTag,
    TaskWords,
    User,
    Webhook,
    WebhookDelivery,
)
