"""The kinds of e-mail: one may switch off each, and each has its templates."""

MAIL_KINDS = ("schedule_created", "run_completed", "run_failed", "reminder")
