"""The version of taskapi, in one place: package metadata, /health and the OpenAPI document read it."""

VERSION = "0.1.0"
