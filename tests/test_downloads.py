"""Downloads: continued after a break, compared, whole or not at all; archives of strangers."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import socket
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from urllib.request import Request

import pytest
from archives import special, tar_of, zip_link, zip_of
from file_server import Served, connected, serving
from huggingface_hub import constants
from hypothesis import given, settings
from hypothesis import strategies as st
from peak_memory import output_of
from tiny import Recording

from headstart.errors import WeightsError
from headstart.loading import downloads
from headstart.loading.downloads import fetch, fetch_folder, fetching, recorded, unpack

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server of a folder with one file."""
    connected(monkeypatch)
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file.bin").write_bytes(CONTENT)
    with serving(folder) as address:
        yield address


# --- files ---


def test_a_file_is_fetched_once(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.bin"
    assert fetch(f"{served}/file.bin", path, sha256=SHA256[:8].upper()) == path
    assert path.read_bytes() == CONTENT
    assert fetch(f"{served}/absent", path) == path
    assert served.asked == [("file.bin", "")]
    assert os.listdir(path.parent) == ["file.bin"]


def test_a_break_is_made_good_at_once(served: Served, tmp_path: Path) -> None:
    served.breaks["file.bin"] = [1000, 70_000, 0]
    fetch(f"{served}/file.bin", tmp_path / "file.bin", sha256=SHA256)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert [request for _, request in served.asked] == [
        "",
        "bytes=1000-",
        "bytes=71000-",
        "bytes=71000-",
    ]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    served.breaks["file.bin"] = [1000, 0, 0, 0, 0]
    with pytest.raises(WeightsError, match=r"file\.bin could not be .*broke 5 times.*after 1000 B"):
        fetch(f"{served}/file.bin", path)
    assert not path.exists() and (tmp_path / "file.bin.part").stat().st_size == 1000
    fetch(f"{served}/file.bin", path)
    assert path.read_bytes() == CONTENT
    assert served.asked[-1] == ("file.bin", "bytes=1000-")
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.slow
def test_a_process_killed_again_and_again_loses_nothing(served: Served, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(64 << 20)
    (served.folder / "large.bin").write_bytes(content)
    served.pause = 0.05
    path, part = tmp_path / "large.bin", tmp_path / "large.bin.part"
    code = (
        "import sys; from pathlib import Path; "
        "from headstart.loading.downloads import fetch; "
        "fetch(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])"
    )
    sha256 = hashlib.sha256(content).hexdigest()
    arguments = f"{served}/large.bin", str(path), sha256
    sizes = [0]
    for _ in range(4):
        command = [sys.executable, "-c", code, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not part.exists() or part.stat().st_size < sizes[-1] + (4 << 20):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        sizes.append(part.stat().st_size)
        assert not path.exists()
    kibibytes = int(output_of(f"{code}; print(peak())", *arguments))
    assert path.read_bytes() == content and not part.exists()
    starts = [int(request.removeprefix("bytes=").rstrip("-") or 0) for _, request in served.asked]
    assert starts == sizes, "each process went on where the killed one was"
    assert kibibytes < 2 << 20


@pytest.mark.parametrize("longer", [True, False])
def test_a_changed_file_is_fetched_anew(served: Served, tmp_path: Path, longer: bool) -> None:
    path, file = tmp_path / "file.bin", served.folder / "file.bin"
    served.breaks["file.bin"] = [1000, 0, 0, 0, 0]
    with pytest.raises(WeightsError):
        fetch(f"{served}/file.bin", path)
    other = CONTENT[::-1] if longer else CONTENT[:900]
    file.write_bytes(other)
    fetch(f"{served}/file.bin", path)
    assert path.read_bytes() == other


def test_what_is_of_another_address_is_not_gone_on_with(served: Served, tmp_path: Path) -> None:
    served.breaks["file.bin"] = [1000, 0, 0, 0, 0]
    with pytest.raises(WeightsError):
        fetch(f"{served}/file.bin", tmp_path / "file.bin")
    (served.folder / "other.bin").write_bytes(CONTENT[::-1])
    fetch(f"{served}/other.bin", tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("missing", ["ranges", "tags"])
def test_servers_that_can_not_go_on_begin_anew(
    served: Served, tmp_path: Path, missing: str
) -> None:
    setattr(served, missing, False)
    served.breaks["file.bin"] = [1000, 2000]
    fetch(f"{served}/file.bin", tmp_path / "file.bin", sha256=SHA256)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_another_hash_is_refused(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with pytest.raises(WeightsError, match=f"its sha256 is {SHA256}, not 00000000"):
        fetch(f"{served}/file.bin", path, sha256="00000000")
    assert not list(tmp_path.glob("file.bin*"))


def test_messages_are_one_sentence_and_advice(served: Served, tmp_path: Path) -> None:
    url = f"{served}/absent"
    with pytest.raises(WeightsError) as caught:
        fetch(url, tmp_path / "file", what="The map", advice="Draw one.")
    assert str(caught.value) == (
        f"The map could not be fetched from {url} (HTTPError: HTTP Error 404: Not Found). Draw one."
    )


def test_redirects_are_followed_over_http_alone(served: Served, tmp_path: Path) -> None:
    served.moved["here"] = "/file.bin"
    assert fetch(f"{served}/here", tmp_path / "a").read_bytes() == CONTENT
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/file.bin"):
        served.moved["there"] = target
        with pytest.raises(WeightsError, match=f"{target}(' is not allowed)?\\)"):
            fetch(f"{served}/there", tmp_path / "b")
    served.moved["round"] = "/round"
    with pytest.raises(WeightsError, match="redirect"):
        fetch(f"{served}/round", tmp_path / "b")


def test_encryption_is_kept() -> None:
    request = Request("https://a/b")
    more = (io.BytesIO(), 302, "Found", Message())
    followed = fetching._Redirects().redirect_request(request, *more, "https://c/d")
    assert followed is not None and followed.full_url == "https://c/d"
    with pytest.raises(fetching.Fault, match="leads on to http://a/b"):
        fetching._Redirects().redirect_request(request, *more, "http://a/b")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "/etc/passwd", "data:,a", ""])
def test_other_addresses_are_refused(tmp_path: Path, no_network: None, url: str) -> None:
    with pytest.raises(WeightsError, match="only http and https are fetched"):
        fetch(url, tmp_path / "file")


def test_offline_opens_no_socket(
    tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"from https://a\.b/c \(HF_HUB_OFFLINE forbids it"):
        fetch("https://a.b/c", tmp_path / "new" / "c")
    assert not (tmp_path / "new").exists()


def test_nobody_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with pytest.raises(WeightsError, match=f"127.0.0.1:{port}/a .*URLError.*try again"):
            fetch(f"http://127.0.0.1:{port}/a", tmp_path / "a")


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch)
    monkeypatch.setattr("headstart.loading.downloads.fetching.TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(WeightsError, match="timed out"):
            fetch(f"http://127.0.0.1:{port}/a", tmp_path / "a")


def test_progress_is_told_in_megabytes(served: Served, tmp_path: Path) -> None:
    (served.folder / "large").write_bytes(bytes(2_500_000))
    progress = Recording()
    fetch(f"{served}/large", tmp_path / "large", progress=progress)
    assert (progress.steps, progress.said) == (2, [])


FETCH = """
import sys
from pathlib import Path
from headstart.loading.downloads import fetch
fetch(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])
"""


def test_two_processes_fetch_one_file(served: Served, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FETCH, f"{served}/file.bin", str(tmp_path / "file"), SHA256]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert len(served.asked) == 1


# --- archives ---


def contents(folder: Path) -> dict[str, bytes]:
    """All files in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_archives_are_unpacked(tmp_path: Path) -> None:
    files = {"a": b"1", "deep/er/b": b"2", "empty": b""}
    tar = tar_of(
        tmp_path / "a.tar.gz",
        special("./deep", tarfile.DIRTYPE),
        *((f"./{name}", content) for name, content in files.items()),
        special("deep/link", tarfile.SYMTYPE, "../a"),
        special("hard", tarfile.LNKTYPE, "./deep/er/b"),
    )
    assert unpack(tar, tmp_path / "tar") == tmp_path / "tar"
    assert contents(tmp_path / "tar") == files | {"deep/link": b"1", "hard": b"2"}
    assert not any(path.is_symlink() for path in (tmp_path / "tar").rglob("*"))
    zipped = zip_of(tmp_path / "a.zip", *files.items(), (zip_link("deep/link"), b"../a"))
    unpack(zipped, tmp_path / "zip")
    assert contents(tmp_path / "zip") == files | {"deep/link": b"1"}
    unpack(tmp_path / "absent", tmp_path / "zip")  # as it is there
    assert sorted(os.listdir(tmp_path)) == ["a.tar.gz", "a.zip", "tar", "zip"]


OUTSIDE = ("../out", "/tmp/out", "a/../../out", "C:\\out", "..\\out", "\\\\host\\out", "a/..", "..")


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    files = (("fine", b"1"), (name, b"2"))
    make = tar_of if kind == "tar" else zip_of
    refused(make(tmp_path / "a", *files), "which leads outside it, so that nothing")


LINKS = ("../secret", "/etc/passwd", "absent", "folder", "a/../../b", "")


@pytest.mark.parametrize("target", LINKS)
def test_links_that_lead_outside_are_refused(tmp_path: Path, target: str) -> None:
    for place, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE)):
        members = (("a/b", b"1"), ("folder/c", b"1"), special("link", kind, target))
        refused(tar_of(tmp_path / f"{place}", *members), "'link', a link to .* outside it")
    zipped = zip_of(tmp_path / "zip", ("folder/c", b"1"), (zip_link("link"), target.encode()))
    refused(zipped, "'link', a link to .* outside it")


def test_writing_through_a_link_is_refused(tmp_path: Path) -> None:
    through = (special("d", tarfile.SYMTYPE, str(tmp_path / "out")), ("d/file", b"1"))
    (tmp_path / "out").mkdir()
    refused(tar_of(tmp_path / "a", *through), "'d', a link")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"9"])
def test_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    refused(tar_of(tmp_path / "a", special("null", kind)), "'null', a device or the like")
    zipped = zip_of(tmp_path / "zip", (zip_link("pipe", stat.S_IFIFO), b""))
    refused(zipped, "'pipe', a device or the like")


def test_bombs_are_refused_before_they_grow(tmp_path: Path) -> None:
    big = bytes(1 << 20)
    refused(zip_of(tmp_path / "z", ("a", big), ("b", big)), "more than 0.002 GB", most=2_000_000)
    refused(tar_of(tmp_path / "t", ("a", big), ("b", big)), "more than 0.002 GB", most=2_000_000)
    copies = tar_of(
        tmp_path / "l",
        ("a", big),
        *(special(f"l{number}", tarfile.SYMTYPE, "a") for number in range(3)),
    )
    refused(copies, "more than 0.002 GB", most=2_000_000)
    header = special("a", tarfile.REGTYPE, size=1 << 40).tobuf()
    (tmp_path / "h").write_bytes(gzip.compress(header))  # says more than there is
    refused(tmp_path / "h", "more than 8.5.* GB")
    negative = special("a", tarfile.REGTYPE, size=-(1 << 20)).tobuf()
    (tmp_path / "n").write_bytes(gzip.compress(negative))
    refused(tmp_path / "n", "a negative size")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.loading.downloads.unpacking.MEMBERS", 100)
    folders = special("x", tarfile.DIRTYPE).tobuf()
    (tmp_path / "a").write_bytes(gzip.compress(folders * 100))
    unpack(tmp_path / "a", tmp_path / "fine")
    (tmp_path / "a").write_bytes(gzip.compress(folders * 101))
    refused(tmp_path / "a", "100 files")


def test_headers_that_fill_memory_are_refused(tmp_path: Path) -> None:
    for number, kind in enumerate((tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME)):
        path = tmp_path / f"{number}"
        path.write_bytes(gzip.compress(special("a", kind, size=1 << 30).tobuf() + bytes(1 << 20)))
        refused(path, "a header asks for too much")


def test_a_zip_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "z", ("a", bytes(5000)))
    content = path.read_bytes().replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(content)
    refused(path, "can't be unpacked")


@pytest.mark.parametrize("content", [b"", b"PK", b"plain text", gzip.compress(b"text", mtime=0)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    if content[:2] == b"\x1f\x8b":
        refused(tmp_path / "a", "can't be unpacked")
    else:
        refused(tmp_path / "a", r"can't be unpacked \(BadZipFile: File is not a zip file\)")


def refused(archive: Path, match: str, most: int = downloads.MOST) -> None:
    """The archive is refused so, and leaves nothing behind."""
    before = sorted(archive.parent.iterdir())
    with pytest.raises(WeightsError, match=match):
        unpack(archive, archive.parent / "unpacked", most)
    assert sorted(archive.parent.iterdir()) == before


@settings(max_examples=60)
@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_damage_never_ends_in_another_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    make = (zip_of, tar_of)[place % 2]
    archive = make(folder / "a", ("a", CONTENT[:100]), ("b/c", CONTENT[:5000]))
    content = bytearray(archive.read_bytes())
    place %= len(content)
    content[place : place + len(noise)] = noise
    archive.write_bytes(bytes(content))
    try:
        unpack(archive, folder / "to")
    except WeightsError:
        assert not (folder / "to").exists()


# --- archives kept as folders ---


def test_a_folder_is_fetched_recorded_and_compared(served: Served, tmp_path: Path) -> None:
    archive = zip_of(served.folder / "a.zip", ("top/a", b"1"))
    with zipfile.ZipFile(archive, "a") as opened:
        opened.comment = b"c0ffee"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    folder = tmp_path / "kept" / "a"
    tree = fetch_folder(f"{served}/a.zip", folder, sha256=digest[:10])
    assert (tree.sha256, tree.comment, tree.url) == (
        digest,
        "c0ffee",
        f"{served}/a.zip",
    )
    assert tree == recorded(folder) == fetch_folder(f"{served}/gone", folder)
    assert sorted(os.listdir(folder.parent)) == ["a", "a.headstart.json"]
    with pytest.raises(WeightsError, match=f"came out of .* sha256 {digest}, not beef"):
        fetch_folder(f"{served}/a.zip", folder, sha256="beef")
    (folder / "top" / "b").touch()
    with pytest.raises(WeightsError, match=f"a has changed since .* Remove {folder}"):
        fetch_folder(f"{served}/a.zip", folder)


def test_a_folder_that_another_program_made_is_taken(served: Served, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_text("1")
    folder = fetch_folder(f"{served}/a.zip", tmp_path / "kept")
    assert folder.sha256 == "" and recorded(tmp_path / "kept") == folder
    with pytest.raises(WeightsError, match="an unknown sha256, not beef"):
        fetch_folder(f"{served}/a.zip", tmp_path / "kept", sha256="beef")
    (tmp_path / "kept" / "a").write_text("2")
    with pytest.raises(WeightsError, match="has changed"):
        fetch_folder(f"{served}/a.zip", tmp_path / "kept")


def test_what_a_killed_run_left_is_compared_too(served: Served, tmp_path: Path) -> None:
    zip_of(tmp_path / "a.archive", ("a", b"1"))
    with pytest.raises(WeightsError, match=r"a has the sha256 .*, not beef"):
        fetch_folder(f"{served}/a.zip", tmp_path / "a", sha256="beef")
    assert not (tmp_path / "a.archive").exists() and not (tmp_path / "a").exists()


def test_a_refused_archive_leaves_nothing(served: Served, tmp_path: Path) -> None:
    zip_of(served.folder / "a.zip", ("../a", b"1"))
    with pytest.raises(WeightsError, match="leads outside"):
        fetch_folder(f"{served}/a.zip", tmp_path / "kept" / "a")
    assert list((tmp_path / "kept").iterdir()) == []
