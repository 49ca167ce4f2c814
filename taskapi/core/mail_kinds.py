"""The kinds of e-mail: each has its templates, and one may switch off each that is not about security."""

MAIL_KINDS = (
    *("schedule_created", "schedule_paused", "reminder"),
    *("run_completed", "run_failed", "run_recovered", "run_missed", "run_overdue"),
    *("ping_unexpected", "file_damaged"),
)
SECURITY_KINDS = (
    *("verify_email", "password_reset"),
    *("password_changed", "session_reuse", "second_factor_changed"),
)
