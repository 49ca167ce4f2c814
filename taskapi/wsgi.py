"""The WSGI application; a setting that cannot be understood ends the start with one clear line."""

import gc
import sys

# What is loaded stays: looking through it for garbage again and again takes a quarter of the start.
gc.disable()

from taskapi.app import create_app  # noqa: E402
from taskapi.environment import ConfigError  # noqa: E402

# What ``flask`` runs without answering requests.
ANSWERS_NOBODY = ("admin", "db", "scheduler", "worker")

try:
    app = create_app(endpoints=not set(sys.argv[1:2]).intersection(ANSWERS_NOBODY))
except ConfigError as error:
    sys.exit(f"taskapi: {error}")

# Nor is it looked through later, which would also copy the pages that forked processes share.
gc.freeze()
gc.enable()
