"""`serve` and a thousand kinds of bad input: each is refused with a sentence, and none ends it."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served import JSON, PATIENCE, Models, Running, form, models, server

__all__ = ["models"]
MANY = 1000
KINDS = ("pictures", "texts", "rows")


@pytest.fixture(scope="module")
def three(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All three models in one process."""
    places = [f"{name}={models.place(name)}" for name in KINDS]
    with server(
        tmp_path_factory.mktemp("log"), *places, "--body", "1", "--timeout", "60"
    ) as running:
        yield running


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
nested = st.recursive(
    scalars,
    lambda each: (
        st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=8), each, max_size=4)
    ),
    max_leaves=12,
)
types = st.sampled_from(
    [
        *(
            "application/json",
            "text/plain",
            "text/csv",
            "image/png",
            "audio/wav",
            "multipart/form-data",
        ),
        *(
            "application/octet-stream",
            "application/x-ndjson",
            "multipart/form-data; boundary=x",
            "",
            "*/*",
        ),
        *(
            "application/x-www-form-urlencoded",
            "application/vnd.x+json",
            "a" * 300,
            "application/pickle",
        ),
    ]
)
places = st.sampled_from(
    [f"/models/{name}/{act}" for name in KINDS for act in ("predict", "explain")]
    + ["/predict", "/models/../predict", "/models/%2e%2e/predict", "/models/x/predict", "/"]
)
beginnings = st.sampled_from(
    [
        *(
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xe0",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBP",
            b"BM",
            b"II*\0",
        ),
        *(
            b"fLaC",
            b"OggS",
            b"%PDF-1.4",
            b"PK\x03\x04",
            b"\x80\x04\x95",
            b"P6\n999999 999999\n255\n",
        ),
        *(
            b"a,b\n",
            b'{"inputs": ',
            b'{"inputs": [' * 50,
            b"\xef\xbb\xbf",
            b"--x\r\n",
            b"\0\0\0\x18ftypavif",
        ),
    ]
)
contents = st.binary(max_size=200) | st.builds(bytes.__add__, beginnings, st.binary(max_size=200))
documents = st.builds(
    lambda value: json.dumps(value).encode(),
    nested | st.builds(lambda value: {"inputs": value}, nested),
)
encoded = st.builds(
    lambda raw: json.dumps({"inputs": [base64.b64encode(raw).decode()]}).encode(), contents
)
forms = st.builds(
    lambda names, content: form({name: content for name in names})[0].replace(
        b"edge-of-a-part", b"x"
    ),
    st.lists(
        st.sampled_from(["a.png", "../../etc/passwd", "rows.csv", "", "é\x7f.jpg"]), max_size=3
    ),
    contents,
)


def demand_refused(running: Running, place: str, body: bytes, kind: str) -> None:
    """A sentence and a status of the client's own mistakes, or a sound answer."""
    line = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
    line.request("POST", place, body, {"Content-Type": kind})
    reply = line.getresponse()
    content = reply.read()
    line.close()
    assert reply.status == 200 or 400 <= reply.status < 500, (reply.status, content[:300])
    record: Any = json.loads(content)
    if reply.status == 200:  # texts may be anything
        assert record.get("predictions") or record.get("explanations")
    else:
        assert isinstance(record["error"], str) and record["error"].endswith((".", "?")), record
        assert "Traceback" not in record["error"] and "/tmp/" not in record["error"]


def demand_alive(running: Running) -> None:
    """It still answers, and never failed."""
    assert running.process.poll() is None
    assert running.tell(["fine lovely great"], "/models/texts/predict").status == 200
    assert not [line for line in running.said if "Traceback" in line], running.said[-30:]


def test_some_kinds_of_bad_input_are_refused(three: Running, models: Models) -> None:
    picture = next(models.pictures.glob("*/*.png")).read_bytes()
    bodies = {
        b"": "image/png",
        b"[]": "application/json",
        b'{"inputs": 1e999}': "application/json",
        b'{"inputs": [' + b"[" * 100_000: "application/json",
        b"\xff\xfe": "application/json",
        b'{"inputs": [' + b"9" * 5000 + b"]}": "application/json",
        picture[:40]: "image/png",
        b'{"inputs": ["\\ud800"]}': "application/json",
        picture[:-30]: "image/png",
        b'{"inputs": [{"area": NaN}]}': "application/json",
        b'{"inputs": [{"area": {"a": 1}}]}': "application/json",
        b'{"inputs": [["a", "b", "c"]]}': "application/json",
        b"a,a\n1,2\n": "text/csv",
        b'"': "text/csv",
        b"{}\n{": "application/x-ndjson",
        b"--x--": "multipart/form-data; boundary=x",
        b"--y": "multipart/form-data",
        b"P6\n99999 99999\n255\n": "image/x-portable-pixmap",
    }
    for body, kind in bodies.items():
        for name in KINDS:
            demand_refused(three, f"/models/{name}/predict", body, kind)
    demand_alive(three)


@pytest.mark.slow
@settings(max_examples=MANY, derandomize=True)
@given(places, contents | documents | encoded | forms, types)
def test_a_thousand_kinds_of_bad_input_are_refused(
    three: Running, place: str, body: bytes, kind: str
) -> None:
    if place == "/":
        assert three.ask(place, body, {"Content-Type": kind}).status == 405
    else:
        demand_refused(three, place, body, kind)
    assert three.process.poll() is None


@pytest.mark.slow
@settings(max_examples=MANY // 4, derandomize=True)
@given(
    st.binary(max_size=300)
    | st.builds(lambda raw: b"POST /predict HTTP/1.1\r\n" + raw, st.binary(max_size=300))
)
def test_what_is_no_http_ends_nothing(three: Running, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", three.port), timeout=PATIENCE) as line:
        line.sendall(raw + b"\r\n\r\n")
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while part := line.recv(65536):
            answer += part
    assert not answer or answer.split(b" ")[1][:1] in (b"2", b"4"), answer[:200]


@pytest.mark.slow
def test_after_all_of_it_the_server_lives(three: Running) -> None:
    demand_alive(three)
    assert three.metric("headstart_waiting_items") == 0
    assert three.metric("headstart_requests_total") > 0
    text = three.ask("/metrics").content.decode()
    assert 'status="500"' not in text and 'status="503"' not in text


def test_a_client_that_leaves_early_harms_nothing(three: Running) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", three.port), timeout=PATIENCE) as line:
            head = (
                "POST /models/texts/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            )
            line.sendall(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
    demand_alive(three)
    assert three.metric("headstart_waiting_items") == 0


def test_a_log_that_can_not_be_written_answers_nothing(models: Models, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full, which is as a full disk")
    with server(tmp_path, models.place("texts")) as running:
        assert running.ask("/predict", b'{"inputs": ["fine"]}', JSON).status == 200
        (tmp_path / "texts.jsonl").unlink()
        (tmp_path / "texts.jsonl").symlink_to(full)
        refused = running.ask("/predict", b'{"inputs": ["fine"]}', JSON)
        assert refused.status == 503 and "log" in refused.json["error"]
        (tmp_path / "texts.jsonl").unlink()
        assert running.ask("/predict", b'{"inputs": ["fine"]}', JSON).status == 200
        assert len(running.lines("texts")) == 1
