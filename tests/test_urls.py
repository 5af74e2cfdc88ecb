"""Data by address: the same answer as from the local copy, and what goes wrong on the way."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import file_server
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from buckets import BUCKET, Bucket, serving
from conftest import write_pictures
from file_server import connected
from huggingface_hub import constants
from packed_photos import arrow, manifest, parquet, shard

import headstart as hs
from headstart.data import Schema, data_of, inputs_of, load
from headstart.data.items import find
from headstart.data.remote import stores
from headstart.data.remote.pointers import MARK
from headstart.data.sources import FileSource
from headstart.errors import HeadstartError, RemoteError
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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "photos", {"ants": 8, "bees": 8})


def test_a_folder_of_classes_is_read_as_its_copy_is(bucket: Bucket, photos: Path) -> None:
    there = bucket.copy(photos, "data/photos")
    far, near = load(data_of(there), Image()), load(photos, Image())
    assert far.fingerprint == near.fingerprint
    assert [item.id for item in far.items] == [item.id for item in near.items]
    assert far.place == there


@pytest.mark.parametrize("write", [parquet, arrow, manifest, shard])
def test_a_table_or_shard_is_read_as_its_copy_is(
    bucket: Bucket, photos: Path, tmp_path: Path, write: Callable[[Path, Path], Path]
) -> None:
    place = write(tmp_path, photos)
    there = bucket.copy(place, f"data/{place.name}")
    bucket.copy(photos, "data/photos")
    far, near = load(data_of(there), Image()), load(place, Image())
    assert far.fingerprint == near.fingerprint
    assert [item.id for item in far.items] == [item.id for item in near.items]
    assert [item.read() for item in far.items] == [item.read() for item in near.items]
    assert far.place == there


def test_what_a_store_says_ends_with_one_sentence(
    bucket: Bucket, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = bucket.copy(photos / "ants", "data/ants")
    for other, why in (
        ("s3://other/x", "can't be read: there is no such bucket. Check the address."),
        (f"s3://{BUCKET}/none", "can't be read: nothing is there. Check the address."),
        ("az://x/y", "is an address that can't be read. Give one of s3://, gs://, http://, "),
    ):
        with pytest.raises(HeadstartError, match=re.escape(f"{other} {why}")):
            data_of(other)
    bucket.denies = True
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    stores._client.cache_clear()
    with pytest.raises(HeadstartError, match=r"/ants can't be read: access is denied\. Set AWS_"):
        data_of(there)


def test_a_store_that_fails_at_times_is_asked_again(bucket: Bucket, photos: Path) -> None:
    there = bucket.copy(photos, "data/photos")
    bucket.statuses, bucket.cuts, bucket.pause = [500, 503], 3, 0.01
    far = load(data_of(there), Image())
    assert far.fingerprint == load(photos, Image()).fingerprint
    assert not bucket.statuses and not bucket.cuts


def test_a_store_that_fails_for_good_ends_with_one_sentence(
    bucket: Bucket, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "_PAUSES", (0.0,))
    place = data_of(bucket.copy(photos / "ants", "data/ants"))
    bucket.statuses = [500] * 10_000
    with pytest.raises(HeadstartError, match=r"^s3://bucket/data/ants/000.png can't be .*\.$"):
        FileSource(Path(str(place)) / "000.png").read()
    assert len(bucket.requests) < 40


def test_an_object_that_changes_while_it_is_read_ends_the_run(
    bucket: Bucket, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_URL_CACHE", "0")  # what is kept stays what it was
    place = data_of(bucket.copy(photos, "data/photos"))
    bucket.put("data/photos/ants/000.png", b"another")
    with pytest.raises(RemoteError, match=r"photos/ants/000.png has changed since it was listed\."):
        load(place, Image())
    dataset = load(data_of(f"s3://{BUCKET}/data/photos"), Image())  # which lists it anew
    assert [name for name, _ in dataset.report.skipped] == ["ants/000.png"]
    bucket.put(f"data/photos/{dataset.items[0].id}", photos.joinpath("ants/000.png").read_bytes())
    with pytest.raises(
        HeadstartError, match="has changed since it was"
    ):  # listed, or within a second
        dataset.items[0].read()
    table = data_of(bucket.copy(parquet(tmp_path, photos), "data/train.parquet"))
    columns = pq.read_table(tmp_path / "train.parquet")
    pq.write_table(columns.slice(1), tmp_path / "train.parquet", row_group_size=10)
    bucket.copy(tmp_path / "train.parquet", "data/train.parquet")
    with pytest.raises(RemoteError, match=r"train.parquet has changed since it was listed\."):
        load(table, Image())


def test_offline_no_address_is_read_and_no_socket_opened(
    no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for there in ("s3://bucket/x.csv", "gs://bucket/x", "https://host/x.parquet"):
        with pytest.raises(HeadstartError, match=f"^{there} is an address, and offline no conn"):
            data_of(there)


def test_what_is_kept_has_a_bound_and_nothing_else_is_fetched_twice(
    bucket: Bucket, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = bucket.copy(photos, "data/photos")
    items = load(data_of(there), Image()).items
    assert all(item.read() for item in items)
    assert bucket.gets("data/photos/ants/000.png") == 1
    bucket.requests.clear()
    load(data_of(there), Image())
    assert {method for method, path in bucket.requests if path.endswith(".png")} == set()
    monkeypatch.setenv("HEADSTART_URL_CACHE", "0")
    monkeypatch.setenv("HEADSTART_CACHE", str(photos.parent / "other"))
    items = load(data_of(there), Image()).items
    assert all(item.read() for item in items)
    assert bucket.gets("data/photos/ants/000.png") == 2
    for word in ("much", "inf"):
        monkeypatch.setenv("HEADSTART_URL_CACHE", word)
        with pytest.raises(HeadstartError, match=f"HEADSTART_URL_CACHE is '{word}', which is no"):
            items[0].read()


def test_addresses_in_a_table_are_followed_below_its_own_alone(
    bucket: Bucket, photos: Path, tmp_path: Path
) -> None:
    bucket.copy(photos, "data/photos")
    bucket.put("secret/0.png", b"secret")
    rows = sorted(path.relative_to(tmp_path) for path in photos.rglob("*.png"))
    lines = [f"s3://{BUCKET}/data/{row.as_posix()},{row.parts[1]}" for row in rows]
    others = [f"s3://{BUCKET}/secret/0.png,ants", "http://127.0.0.1:1/0.png,ants"]
    bucket.put("data/list.csv", "\n".join(["image,label", *lines, *others]).encode())
    dataset = load(data_of(f"s3://{BUCKET}/data/list.csv"), Image())
    assert len(dataset.items) == len(rows)
    assert [why[:13] for _, why in dataset.report.skipped] == ["is an address"] * 2
    assert not any("secret" in path for _, path in bucket.requests)
    bucket.put("data/out.csv", b"image,label\n../secret/0.png,ants\n")
    with pytest.raises(HeadstartError, match=r"bucket/data/out.csv line 2 names '../secret/0.png'"):
        load(data_of(f"s3://{BUCKET}/data/out.csv"), Image())


def test_what_no_address_can_be_ends_with_one_sentence(
    bucket: Bucket, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data_of(f"file://{photos}") == photos
    with pytest.raises(HeadstartError, match=r"a.tgz is compressed, so that no part of it can be"):
        bucket.put("a.tgz", b"1")
        load(data_of(f"s3://{BUCKET}/a.tgz"), Image())
    bucket.put("a.tar", b"no tar" * 1000)
    with pytest.raises(
        HeadstartError, match=r"a.tar can't be looked through \(ReadError.*Write it as"
    ):
        load(data_of(f"s3://{BUCKET}/a.tar"), Image())
    with pa.ipc.new_stream(photos / "a.arrow", pa.schema([("text", pa.string())])) as file:
        file.write_table(pa.table({"text": ["a"]}))
    bucket.copy(photos / "a.arrow", "a.arrow")
    with pytest.raises(HeadstartError, match=r"bucket/a.arrow is a stream of Arrow, of which no"):
        load(data_of(f"s3://{BUCKET}/a.arrow"), Image())
    bucket.put("odd//a.png", b"1")
    with pytest.raises(HeadstartError, match=r"bucket/odd holds 'odd//a.png', which can't be"):
        data_of(f"s3://{BUCKET}/odd")
    monkeypatch.setenv("HEADSTART_CACHE", f"s3://{BUCKET}/cache")
    with pytest.raises(HeadstartError, match=r"^HEADSTART_CACHE is s3://bucket/cache, an address"):
        data_of(f"s3://{BUCKET}/a.tar")


def test_what_looks_like_a_pointer_is_none(bucket: Bucket, tmp_path: Path) -> None:
    pointer = MARK + b'{"address": "http://127.0.0.1:1/secret"}'
    bucket.put("data/ants/0.txt", pointer)
    place = data_of(f"s3://{BUCKET}/data")
    assert FileSource(Path(str(place)) / "ants" / "0.txt").read() == pointer
    (tmp_path / "0.txt").write_bytes(pointer)
    assert FileSource(tmp_path / "0.txt").read() == pointer


@pytest.mark.parametrize("write", [parquet, manifest, shard])
def test_a_table_or_shard_on_the_web_is_read_as_its_copy_is(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path, Path], Path],
) -> None:
    connected(monkeypatch)
    place = write(tmp_path, photos)
    near = load(place, Image())
    with file_server.serving(tmp_path) as served:
        there = f"{served}/{place.name}"
        served.breaks = {place.name: [0, 0]}
        far = load(data_of(f"{there}?signature=secret"), Image())
    assert far.fingerprint == near.fingerprint
    assert [item.id for item in far.items] == [item.id for item in near.items]
    assert far.place == there


def test_what_a_web_server_says_ends_with_one_sentence(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(monkeypatch)
    with file_server.serving(photos) as served:
        with pytest.raises(
            HeadstartError, match=r"/none.csv can't be read: nothing is there\. Che"
        ):
            data_of(f"{served}/none.csv")
        with pytest.raises(HeadstartError, match="it names a user, and none is sent") as caught:
            data_of(f"{served}/none.csv".replace("//", "//me:secret@", 1))
        assert "secret" not in str(caught.value)
        served.moved = {"a.csv": "file:///etc/passwd"}
        with pytest.raises(HeadstartError, match=r"/a.csv can't be read: the server answered 302"):
            data_of(f"{served}/a.csv")
        served.ranges = False
        pq.write_table(pa.table({"text": ["a"]}), photos / "a.parquet")
        with pytest.raises(HeadstartError, match="its server gives no parts of files"):
            load(data_of(f"{served}/a.parquet"), Image())


def test_the_same_model_comes_of_an_address(
    bucket: Bucket, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = hs.Settings(epochs=1, scratch=False, evidence="none")
    there = bucket.copy(photos, "data/photos")
    for name, data in (("far", there), ("near", photos)):
        monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / f"cache-{name}"))
        hs.fit(data, "seeded:convnet", tmp_path / name, strategy="feature-extraction", settings=own)
    far, near = (tmp_path / name / "model.safetensors" for name in ("far", "near"))
    assert far.read_bytes() == near.read_bytes()
    record = (tmp_path / "far" / "evidence.json").read_text()
    assert f"hs.fit('{there}'" in record and "cache-far" not in record
    with pytest.raises(HeadstartError, match=f"made with data from {there}, and no address is fe"):
        hs.reproduce(tmp_path / "far", tmp_path / "again")
    rows = [*(tmp_path / "cache-far").glob("features/*/rows.bin")]
    others = [*(tmp_path / "cache-near").glob("features/*/rows.bin")]
    assert rows and sorted(map(_hash, rows)) == sorted(map(_hash, others))
    answers = hs.load(tmp_path / "far").predict([f"{there}/ants/000.png", f"{there}/bees"])
    assert [each.path for each in answers[:2]] == [f"{there}/ants/000.png", f"{there}/bees/000.png"]
    assert not any(each.error for each in answers)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.usefixtures("no_network")
def test_no_address_in_rows_that_a_program_holds_is_fetched() -> None:
    there = "https://host/x.png"
    frame = pd.DataFrame({"image": [there], "label": ["a"]})
    for rows in (frame, frame["image"], np.array([there]), {"image": there}):
        (each,) = inputs_of(rows, Image())
        assert each.source is None
        assert "is an address, and nothing is fetched from one" in each.problem
    contents = find(data_of(frame), Image(), Schema(label="label"))
    assert [row.source for row in contents.rows] == [None]
