"""Settings of those who operate the service: limits of users, figures, and the paths of what it replaced."""

from typing import Any

from taskapi.environment import Environment


def read_operations(env: Environment) -> dict[str, Any]:
    """The values of the settings that ``Settings`` has for operators, by their names there."""
    return {
        "metrics_token": env.secret("METRICS_TOKEN"),
        "metrics_port": env.integer("METRICS_PORT", 0, maximum=65_535),
        "worker_threads": env.integer("WORKER_THREADS", 1, minimum=1, maximum=100),
        "legacy_paths": env.boolean("LEGACY_PATHS", False),
    }


def read_limits(env: Environment) -> dict[str, Any]:
    """The values of the settings that say what each user may have."""
    return {
        "user_schedules": env.integer("USER_SCHEDULES", 100_000, maximum=2**31 - 1),
        "user_runs_at_once": env.integer("USER_RUNS_AT_ONCE", 200, minimum=1, maximum=100_000),
        "user_runs_per_minute": env.integer("USER_RUNS_PER_MINUTE", 0, maximum=2**31 - 1),
        "user_mails_per_hour": env.integer("USER_MAILS_PER_HOUR", 1000, maximum=2**31 - 1),
    }
