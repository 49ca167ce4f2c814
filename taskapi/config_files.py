"""Settings of files: where they lie, and what they may be."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from taskapi.environment import HTTP, ConfigError, Environment

DEFAULT_FILE_TYPES = (
    *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf", ".txt", ".csv", ".json", ".md"),
    *(".docx", ".xlsx", ".pptx", ".zip"),
)
FILE_URL = re.compile(r"file:(?://(?:localhost)?(?=/))?([^/].*|/(?!/).*)")
BUCKET_URL = re.compile(r"s3://([^/]*)(?:/(.*))?")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
FILE_TYPE = re.compile(r"\.[a-z0-9]{1,16}|[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Where files lie: in ``directory``, or in the S3 bucket if there is one.

    Attributes:
        directory: also where contents are gathered before they go to a bucket.
        prefix: of the names of all objects; without slashes at its ends.
        access_key_id: without it the AWS client looks where it always does.
        session_token: of a key that is valid for hours.
        signed_downloads: whether clients are sent to the bucket by a URL that is valid for minutes.
    """

    directory: Path
    bucket: str | None = None
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    signed_downloads: bool = False


def read_file_types(env: Environment) -> tuple[str, ...]:
    """MIME types and endings, such as image/png and .md."""
    types = tuple(word.lower() for word in env.words("ALLOWED_FILE_TYPES"))
    for word in types:
        if not FILE_TYPE.fullmatch(word):
            raise ConfigError(f"ALLOWED_FILE_TYPES must be like image/png or .md, not {word!r}")
    return types or DEFAULT_FILE_TYPES


def read_storage(env: Environment, data_dir: Path) -> StorageSettings:
    """Where ``STORAGE_URL`` says, else in ``AWS_BUCKET``, else in the data directory."""
    url = env.text("STORAGE_URL")
    in_directory, in_bucket = FILE_URL.fullmatch(url or ""), BUCKET_URL.fullmatch(url or "")
    if url and not (in_directory or in_bucket):
        raise ConfigError("STORAGE_URL must be like file:/path/of/a/directory or s3://bucket/prefix")
    bucket = in_bucket[1] if in_bucket else None if url else env.text("AWS_BUCKET")
    if bucket is not None and not BUCKET.fullmatch(bucket):
        raise ConfigError(f"{'STORAGE_URL' if url else 'AWS_BUCKET'} names no bucket: {bucket!r}")
    access_key_id, secret_access_key = env.text("AWS_ACCESS_KEY_ID"), env.secret("AWS_SECRET_ACCESS_KEY")
    if bucket and (access_key_id is None) != (secret_access_key is None):
        raise ConfigError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both or none")
    return StorageSettings(
        directory=Path(unquote(in_directory[1])).absolute() if in_directory else data_dir / "files",
        bucket=bucket,
        prefix=((in_bucket[2] if in_bucket else None) or "").strip("/"),
        endpoint_url=env.url("S3_ENDPOINT_URL", HTTP) or env.url("CUSTOM_S3_ENDPOINT_URL", HTTP),
        region=env.text("AWS_REGION"),
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        session_token=env.secret("AWS_SESSION_TOKEN"),
        signed_downloads=env.boolean("S3_SIGNED_DOWNLOADS", False),
    )
