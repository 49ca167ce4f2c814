"""Settings of files: where they lie."""

from pathlib import Path

import pytest

from taskapi.config import load_settings
from taskapi.config_files import StorageSettings
from taskapi.environment import ConfigError


def load(data_dir: Path, **values: str) -> StorageSettings:
    return load_settings({"DATA_DIR": str(data_dir), **values}).storage


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"bucket": None, "prefix": "", "endpoint_url": None, "signed_downloads": False}),
        ({"STORAGE_URL": "file:/srv/files"}, {"directory": Path("/srv/files"), "bucket": None}),
        ({"STORAGE_URL": "file:///srv/my%20files"}, {"directory": Path("/srv/my files")}),
        ({"STORAGE_URL": "file://localhost/srv/files"}, {"directory": Path("/srv/files")}),
        ({"STORAGE_URL": "file:files"}, {"directory": Path("files").absolute()}),
        ({"STORAGE_URL": "file:/srv/files", "AWS_BUCKET": "things"}, {"bucket": None}),
        ({"STORAGE_URL": "s3://things"}, {"bucket": "things", "prefix": ""}),
        ({"STORAGE_URL": "s3://things/of/ours/"}, {"bucket": "things", "prefix": "of/ours"}),
        ({"STORAGE_URL": "s3://things", "AWS_BUCKET": "others"}, {"bucket": "things"}),
        ({"AWS_BUCKET": "things"}, {"bucket": "things", "prefix": ""}),
        ({"S3_ENDPOINT_URL": "http://minio:9000"}, {"endpoint_url": "http://minio:9000"}),
        ({"CUSTOM_S3_ENDPOINT_URL": "http://minio:9000"}, {"endpoint_url": "http://minio:9000"}),
        ({"S3_SIGNED_DOWNLOADS": "1"}, {"signed_downloads": True}),
        (
            {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"},
            {"region": "eu-central-1", "access_key_id": "id", "secret_access_key": "key"},
        ),
        ({"AWS_SESSION_TOKEN": "token"}, {"session_token": "token"}),
    ],
)
def test_files_lie_where_the_settings_say(
    tmp_path: Path, values: dict[str, str], expected: dict[str, object]
) -> None:
    storage = load(tmp_path, **values)
    assert {name: getattr(storage, name) for name in expected} == expected


def test_files_lie_in_the_data_directory_unless_told(tmp_path: Path) -> None:
    assert load(tmp_path).directory == load(tmp_path, AWS_BUCKET="things").directory == tmp_path / "files"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_key_of_a_bucket_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="belong together"):
        load(tmp_path, AWS_BUCKET="things", **{name: "half"})
