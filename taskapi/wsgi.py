"""The WSGI application; a setting that cannot be understood ends the start with one clear line."""

import sys

from taskapi.app import create_app
from taskapi.environment import ConfigError

try:
    app = create_app()
except ConfigError as error:
    sys.exit(f"taskapi: {error}")
