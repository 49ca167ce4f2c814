"""Settings of tasks: who sees them and where their weather comes from; and how long things are kept."""

from typing import Any

from taskapi.environment import HTTP, Environment

TERABYTE = 2**40


def read_tasks(env: Environment) -> dict[str, Any]:
    """The values of the settings that ``Settings`` has for tasks, by their names there."""
    return {
        "cache_ttl": env.integer("CACHE_TTL", 300, maximum=86_400),
        "team_sees_tasks": env.choice("TASK_VISIBILITY", "own", ("own", "team")) == "team",
        "max_import_size": env.integer("MAX_IMPORT_SIZE", 104_857_600, minimum=1, maximum=TERABYTE),
        "weather": env.boolean("WEATHER", True),
        "openweather_api_key": env.secret("OPENWEATHER_API_KEY"),
        "weather_base_url": env.url("WEATHER_BASE_URL", HTTP),
    }


def read_retention(env: Environment) -> dict[str, Any]:
    """The values of the settings that say for how long things are kept."""
    return {
        "run_retention_days": env.integer("RUN_RETENTION_DAYS", 90, maximum=36_500),
        "run_retention_count": env.integer("RUN_RETENTION_COUNT", 10_000, maximum=2**31 - 1),
        "event_retention_days": env.integer("EVENT_RETENTION_DAYS", 90, maximum=36_500),
        "notification_retention_days": env.integer("NOTIFICATION_RETENTION_DAYS", 365, maximum=36_500),
        "task_purge_days": env.integer("TASK_PURGE_DAYS", 0, maximum=36_500),
    }
