"""What gunicorn and ``flask`` load from a checkout."""

from taskapi.wsgi import app

__all__ = ["app"]
