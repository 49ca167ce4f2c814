"""All blueprints of the application, and the OpenAPI document that describes them."""

import threading
from typing import Any

from apispec import APISpec
from flask_smorest import Api as SmorestApi
from flask_smorest import Blueprint
from flask_smorest.spec import openapi_cli

from taskapi.core.links import link_what_is_made
from taskapi.core.openapi import Plugin, list_problem_codes
from taskapi.core.problems import ProblemSchema, register_error_handlers

SCHEMES = {"bearer": "An access token", "refresh": "The refresh token"}


class Api(SmorestApi):
    """OpenAPI 3.1 and error handling for the whole application.

    The document is written when somebody asks for it: few processes ever show it, and to write it
    takes longer than to build all the rest of the application.
    """

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Held while the document is written, so that nobody is shown half of it.
        self._lock = threading.RLock()
        self._blueprints: list[Blueprint] = []
        super().__init__(*args, **kwargs)

    @property
    def spec(self) -> APISpec:
        """The document."""
        with self._lock:
            return self._spec or self._write()

    @spec.setter
    def spec(self, spec: APISpec | None) -> None:
        self._spec = spec

    def register_blueprint(self, blp: Blueprint, *, parameters: Any = None, **options: Any) -> None:
        """As in flask-smorest; the document describes it later."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self
        self._app.register_blueprint(blp, **options)
        self._blueprints.append(blp)

    def _init_spec(self, **options: Any) -> None:
        self._app.cli.add_command(openapi_cli)

    def _write(self) -> APISpec:
        try:
            super()._init_spec(marshmallow_plugin=Plugin())
            for name, words in SCHEMES.items():
                scheme = {"type": "http", "scheme": "bearer", "description": words}
                self.spec.components.security_scheme(name, scheme)
            for blueprint in self._blueprints:
                name = blueprint.name
                blueprint.register_views_in_doc(self, self._app, self.spec, name=name, parameters=None)
                self.spec.tag({"name": name, "description": blueprint.description})
            list_problem_codes(self.spec)
            link_what_is_made(self.spec)
            return self.spec
        except BaseException:
            self.spec = None
            raise

    def _register_error_handlers(self) -> None:
        register_error_handlers(self._app)
