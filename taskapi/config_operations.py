"""Settings of those who operate the service: figures, and the paths of what it replaced."""

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
