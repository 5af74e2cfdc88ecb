"""Data by address from strangers: names, servers and archives that mean harm, or are as they like.

What a server says is never trusted with memory, with paths, or with what stands elsewhere.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import file_server
import pytest
from conftest import write_pictures
from file_server import Served, connected
from huggingface_hub import constants
from packed_photos import manifest, shard

from headstart.data import data_of, inputs_of, load
from headstart.data.remote import address
from headstart.data.remote.addresses import parted, shown
from headstart.data.sources import FileSource
from headstart.errors import HeadstartError, RemoteError
from headstart.modalities.image import Image
from headstart.runtime.places import cache_folder

_CSV = b"image,label\na.png,x\n"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    connected(monkeypatch)
    write_pictures(tmp_path / "photos", {"ants": 4, "bees": 4})
    with file_server.serving(tmp_path) as server:
        yield server


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("https://me:word@host/a.csv?sig=x/y", "https://host/a.csv"),
        ("https://host:80/a@b.csv", "https://host:80/a@b.csv"),
        ("http://[x/a.csv?sig=1", "http://[x/a.csv"),
        ("s3://AKIA:se/cret@bucket/a", "s3://bucket/a"),
        ("s3://anonymous@bucket/a", "s3://anonymous@bucket/a"),
        ("s3://bucket/a@b:c?d", "s3://bucket/a@b:c?d"),
    ],
)
def test_nothing_secret_is_shown(text: str, plain: str) -> None:
    assert shown(address(text)) == plain


def test_an_address_is_cut_into_folder_and_name() -> None:
    assert address("https://host/a.csv?sig=x/#page") == "https://host/a.csv?sig=x/"
    assert parted("https://host/o/dir%2Fa.csv?alt=media") == ("https://host/o", "a.csv")
    assert parted("s3://bucket/dir/a%2Fb") == ("s3://bucket/dir", "a%2Fb")


def test_names_on_the_web_lead_nowhere_else(served: Served, tmp_path: Path) -> None:
    name = "%2e%2e%2f%2e%2e%2f%2e%2e%2fescape.csv"
    (tmp_path / name).write_bytes(_CSV)
    place = Path(str(data_of(f"{served}/{name}")))
    assert place.resolve().is_relative_to(cache_folder().resolve() / "urls")
    assert not [*cache_folder().glob("escape.csv")]
    for odd in ("", "/", "?f=a.csv", "/%2e%2e", "/%00.csv", "/x%5c..%5ca.csv"):
        with pytest.raises(HeadstartError, match=r"names no file\. Give the address of one\."):
            data_of(f"{served}{odd}")


def test_addresses_of_other_letters_are_asked_for_as_browsers_do(served: Served) -> None:
    with pytest.raises(HeadstartError, match=r"/ä b.csv can't be read: nothing is there"):
        data_of(f"{served}/ä b.csv?q=ö")
    assert served.asked[-1][0] == "%C3%A4%20b.csv?q=%C3%B6"


class _Liar(BaseHTTPRequestHandler):
    """Answers with the status, headers and body that belong to a path."""

    served: dict[str, tuple[int, dict[str, str], bytes]]

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """What stands there."""
        status, headers, body = self.served[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


_UNSIZED = "its server doesn't say how large it is. Download it"


@pytest.mark.parametrize(
    ("status", "headers", "why"),
    [
        (200, {}, _UNSIZED),
        (200, {"Content-Length": "abc"}, _UNSIZED),
        (200, {"Content-Length": "9" * 5000}, _UNSIZED),
        (206, {"Content-Range": "bytes 0-0/*", "Content-Length": "1"}, _UNSIZED),
        (206, {"Content-Range": f"bytes 0-0/{'9' * 5000}", "Content-Length": "1"}, _UNSIZED),
        (200, {"Content-Length": f"{10**15}"}, "the connection broke"),
        (200, {"Content-Length": "20", "Content-Encoding": "gzip"}, "its server sends it compre"),
        (302, {"Location": "http://[x?sig=1", "Content-Length": "0"}, "it is, or leads to, no ad"),
        (
            302,
            {"Location": "ftp://x?sig=1", "Content-Length": "0"},
            "it leads on to ftp://x/. Give",
        ),
    ],
)
def test_what_a_server_says_is_not_trusted(
    status: int, headers: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(monkeypatch)
    monkeypatch.setattr("headstart.data.remote.stores._PAUSES", ())
    answers = {"/a.png": (status, headers, _CSV)}
    with (
        file_server.listening(_Liar, answers) as there,
        pytest.raises(RemoteError, match=f"/a.png can't be read: {why}") as caught,
    ):
        [(each.source and each.source.read()) for each in inputs_of(f"{there}/a.png", Image())]
    assert "sig=" not in str(caught.value)


def test_a_server_that_gives_no_parts_gives_whole_files(served: Served, tmp_path: Path) -> None:
    served.ranges = False
    near = load(manifest(tmp_path, tmp_path / "photos"), Image())
    assert load(data_of(f"{served}/list.csv"), Image()).fingerprint == near.fingerprint


def test_what_may_not_be_known_is_taken_as_not_there(served: Served, tmp_path: Path) -> None:
    served.absent = 403  # as S3 answers whoever may not list
    manifest(tmp_path, tmp_path / "photos")
    rows = (tmp_path / "list.csv").read_text().splitlines()[1:]
    lines = [f"a{n}.b,{row}" for n, row in enumerate(rows)]
    (tmp_path / "list.csv").write_text("\n".join(["kind,what,label", *lines]))
    assert len(load(data_of(f"{served}/list.csv"), Image()).items) == len(rows)


def test_rows_with_queries_are_not_read_as_one_file(served: Served, tmp_path: Path) -> None:
    rows = [f"{served}/photos/ants/000.png?id={n}&sig=secret,ants" for n in range(4)]
    (tmp_path / "list.csv").write_text("\n".join(["image,label", *rows]))
    with pytest.raises(HeadstartError, match=r"no usable item among 4.*is an address") as caught:
        load(data_of(f"{served}/list.csv"), Image())
    assert "secret" not in str(caught.value)


def test_data_that_change_are_read_anew_in_the_same_process(served: Served, tmp_path: Path) -> None:
    place = f"{served}/{manifest(tmp_path, tmp_path / 'photos').name}"
    before = load(data_of(place), Image())
    picture = tmp_path / "photos" / before.items[0].id.removeprefix("photos/")
    picture.write_bytes(picture.read_bytes() + b"\0")
    again = {item.id: item.read() for item in load(data_of(place), Image()).items}
    assert again[before.items[0].id] == picture.read_bytes()


@pytest.mark.parametrize("tags", [True, False])
def test_shards_of_servers_that_name_no_version_are_read(
    served: Served, tmp_path: Path, tags: bool
) -> None:
    served.tags = tags
    place = shard(tmp_path, tmp_path / "photos")
    for name in ("000.png", "001.png"):  # the second time, another tar is there
        near, far = load(place, Image()), load(data_of(f"{served}/a.tar"), Image())
        assert far.fingerprint == near.fingerprint
        assert [item.read() for item in far.items] == [item.read() for item in near.items]
        (tmp_path / "photos" / "ants" / name).unlink()
        shard(tmp_path, tmp_path / "photos")


def _tar(place: Path, *names: str, size: int = 0) -> None:
    with tarfile.open(place, "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, io.BytesIO(b"\0" * size))


def test_a_tar_that_cannot_be_laid_out_ends_with_one_sentence(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tar(tmp_path / "clash.tar", "a/0.png", "a/0.png/1.png")
    _tar(tmp_path / "long.tar", f"a/{'x' * 300}.png")
    for name in ("clash", "long"):
        with pytest.raises(HeadstartError, match=f"/{name}.tar can't be laid out in .*Check the"):
            load(data_of(f"{served}/{name}.tar"), Image())
    _tar(tmp_path / "cut.tar", "a/labels.csv", size=5000)
    (tmp_path / "cut.tar").write_bytes((tmp_path / "cut.tar").read_bytes()[:3000])
    with pytest.raises(HeadstartError, match=r"/cut.tar can't be looked through \(ReadError: une"):
        load(data_of(f"{served}/cut.tar"), Image())
    monkeypatch.setenv("HEADSTART_URL_CACHE", "0.000001")
    _tar(tmp_path / "large.tar", "a/labels.csv", size=5000)
    with pytest.raises(HeadstartError, match=r"/large.tar holds .* that are fetched whole"):
        load(data_of(f"{served}/large.tar"), Image())


def test_a_signed_address_lies_in_a_folder_of_its_user(served: Served, tmp_path: Path) -> None:
    manifest(tmp_path, tmp_path / "photos")
    data_of(f"{served}/list.csv?signature=secret")
    (folder,) = (cache_folder() / "urls").iterdir()
    assert folder.stat().st_mode & 0o077 == 0


def test_what_was_listed_before_is_not_fetched_offline(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest(tmp_path, tmp_path / "photos")
    items = load(data_of(f"{served}/list.csv"), Image()).items
    place = Path(str(data_of(f"{served}/photos/ants/000.png")))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert items[0].read()  # which is kept
    with pytest.raises(HeadstartError, match=r"000.png is an address, and offline no conn"):
        FileSource(place).read()
    place.write_bytes(place.read_bytes()[:40])
    with pytest.raises(HeadstartError, match="it is damaged; run `headstart cache --clear`"):
        FileSource(place).read()
