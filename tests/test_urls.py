"""Data by address: the same answer as from the local copy, and what goes wrong on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from buckets import BUCKET, Bucket, serving
from file_server import connected

from headstart.data import data_of, load
from headstart.errors import DataError
from headstart.modalities.image import Image


@pytest.fixture(scope="module")
def running() -> Iterator[Bucket]:
    with serving() as bucket:
        yield bucket


@pytest.fixture
def bucket(running: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    connected(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield running
    running.empty()


def test_a_folder_of_classes_is_read_as_its_copy_is(bucket: Bucket, pictures: Path) -> None:
    there = bucket.copy(pictures, "data/pictures")
    far, near = load(data_of(there), Image()), load(pictures, Image())
    assert far.fingerprint == near.fingerprint
    assert [item.id for item in far.items] == [item.id for item in near.items]
    assert far.place == there
