"""The kinds of e-mail: each has its templates, and one may switch off each that is not about security."""

MAIL_KINDS = (
    *("schedule_created", "schedule_paused", "reminder", "report"),
    *("run_completed", "run_failed", "run_recovered", "run_missed", "run_overdue"),
    *("ping_unexpected", "file_damaged", "webhook_disabled"),
    *("task_assigned", "task_overdue", "comment_added", "mentioned", "digest"),
)
# They come so often that they are mailed to those alone who ask for them.
ONLY_IF_WANTED = ("comment_added",)
SECURITY_KINDS = (
    *("verify_email", "password_reset", "invitation"),
    *("password_changed", "session_reuse", "second_factor_changed"),
)
