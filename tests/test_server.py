"""`serve`: what is answered to whom, over every way that a request may hold its items."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from served import JSON, PATIENCE, ROOT, Models, Running, base64_of, form, models, server
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.errors import HeadstartError
from headstart.server.access import Access
from headstart.server.refusals import RefusedError
from headstart.server.shelf import folders

__all__ = ["models"]


@pytest.fixture(scope="module")
def three(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All three models in one process."""
    names = ("pictures", "texts", "rows")
    places = [f"{name}={models.place(name)}" for name in names]
    with server(tmp_path_factory.mktemp("log"), *places, "--timeout", PATIENCE) as running:
        yield running


def photos(models: Models, count: int = 3) -> list[Path]:
    """Pictures of both classes."""
    return sorted(models.pictures.glob("*/*.png"))[:: 80 // count][:count]


def test_pictures_are_answered_as_predict_does(three: Running, models: Models) -> None:
    paths, place = photos(models), "/models/pictures/predict"
    expected = hs.load(models.place("pictures")).predict(paths)
    contents = [each.content() for each in expected]
    encoded = [base64_of(path) for path in paths]
    by_json = three.tell([encoded[0], f"data:image/png;base64,{encoded[1]}", encoded[2]], place)
    content, kind = form({path.name: path.read_bytes() for path in paths})
    by_form = three.send(content, kind, place)
    for reply in (by_json, by_form):
        assert reply.status == 200, reply.content
        for answer, own in zip(reply.json["predictions"], contents, strict=True):
            assert answer["label"] == own["label"] and answer["set"] == own["set"]
            assert answer["probabilities"] == pytest.approx(own["probabilities"], abs=1e-4)
            assert answer["familiarity"] == pytest.approx(own["familiarity"], abs=0.05)
    for kind in ("image/png", "application/octet-stream", ""):
        alone = three.send(paths[0].read_bytes(), kind, place)
        assert alone.labels == [expected[0].label]
    assert by_form.json["predictions"][0]["path"] == paths[0].name


def test_texts_are_texts_whatever_lies_there(three: Running, models: Models) -> None:
    place, manifest = "/models/texts/predict", str(models.folder / "texts.csv")
    texts = ["poor dull broken 3", "fine lovely great 5", manifest, "/etc/passwd"]
    expected = hs.load(models.place("texts")).predict([text.encode() for text in texts])
    reply = three.tell(texts, place)
    assert reply.status == 200 and reply.labels == [each.label for each in expected]
    assert [each["path"] for each in reply.json["predictions"]] == texts
    assert three.tell([manifest], place).labels == [expected[2].label]
    assert (
        three.tell(texts[0], place).labels
        == three.send(b"poor dull broken 3", "text/plain", place).labels
    )
    assert three.tell([{"review": texts[1]}], place).labels == [expected[1].label]
    content, kind = form({"a.txt": texts[0].encode()})
    assert three.send(content, kind, place).labels == [expected[0].label]
    refused = three.tell([{"review": {"path": "/etc/passwd"}}], place)
    assert refused.status == 422 and "root:" not in refused.content.decode()


def test_rows_are_answered_from_json_and_tables(three: Running, models: Models) -> None:
    place = "/models/rows/predict"
    rows = [{"area": 30, "town": "A"}, {"area": 80, "town": "B"}]
    expected = [each.answer["value"] for each in hs.load(models.place("rows")).predict(rows)]
    csv = b"area,town\n30,A\n80,B\n"
    lines = b'{"area": 30, "town": "A"}\n{"area": 80, "town": "B"}\n'
    content, kind = form({"rows.csv": csv})
    replies = [three.tell(rows, place), three.send(csv, "text/csv", place)]
    replies += [three.send(lines, "application/x-ndjson", place), three.send(content, kind, place)]
    for reply in replies:
        assert reply.status == 200, reply.content
        assert reply.labels == pytest.approx(expected, rel=1e-4)
    wrong = three.send(b"space,place\n1,2\n", "text/csv", place)
    assert wrong.status == 422 and "headstart-" not in wrong.json["error"]


def test_what_can_not_be_read_is_told_item_by_item(three: Running, models: Models) -> None:
    place, good = "/models/pictures/predict", base64_of(photos(models)[0])
    reply = three.tell([good, "no base64!", "", good], place)
    assert reply.status == 200
    errors = ["error" in each for each in reply.json["predictions"]]
    assert errors == [False, True, True, False]
    alone = three.tell(["no base64!"], place)
    assert alone.status == 422 and "not written in base64" in alone.json["error"]
    assert three.tell([], place).status == 422
    assert three.ask(place, b"{", JSON).status == 400
    assert three.send(b"<a>", "text/html", place).status == 415
    assert three.ask(place, b"x", {**JSON, "Content-Encoding": "gzip"}).status == 415
    assert three.ask(place).status == 405 and three.ask("/no").status == 404
    several = three.tell([good])
    assert several.status == 404 and "pictures, texts, rows" in several.json["error"]
    assert three.tell([good], "/models/other/predict").status == 404


@pytest.mark.parametrize(("item", "where"), [("", "in 'inputs'"), ({"review": ""}, "in 'review'")])
def test_an_empty_text_names_its_place_and_what_to_send(
    three: Running, item: Any, where: str
) -> None:
    reply = three.tell([item], "/models/texts/predict")
    sentence = reply.json["error"]
    assert reply.status == 422 and sentence.startswith("item 0 can't be used: its text is empty")
    assert where in sentence and sentence.endswith(
        '{"inputs": ["a text", ...]}, or one as text/plain.'
    )
    pair = three.tell([["", ""]], "/models/texts/predict")
    assert pair.status == 422 and "Item 0 is a list, which is no text" in pair.json["error"]
    beside = three.tell(["fine", item], "/models/texts/predict").json["predictions"]
    assert beside[0]["label"] and beside[1]["path"] == "item 1" and where in beside[1]["error"]


def test_explanations_are_loaded_at_the_start_where_that_is_asked(
    models: Models, tmp_path: Path
) -> None:
    pytest.importorskip("captum")
    with server(tmp_path, models.place("texts"), "--explain") as running:
        until = time.monotonic() + 5 * PATIENCE
        maps = Path(f"/proc/{running.process.pid}/maps")
        if not maps.exists():
            pytest.skip("needs /proc")
        while "libtorch_cpu" not in maps.read_text() and time.monotonic() < until:
            time.sleep(0.2)
        assert "libtorch_cpu" in maps.read_text()
        assert running.tell(["fine"]).status == 200


def test_the_unfamiliar_has_no_answer_where_that_is_asked(three: Running, tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16, 3), 255, np.uint8)).save(tmp_path / "white.png")
    white = (tmp_path / "white.png").read_bytes()
    plain = three.send(white, "image/png", "/models/pictures/predict")
    reply = three.send(white, "image/png", "/models/pictures/predict?abstain=true")
    assert plain.json["predictions"][0]["familiarity"] <= 0.05
    assert plain.labels != [None] and reply.labels == [None]
    assert three.send(white, "image/png", "/models/pictures/predict?abstain=x").status == 422


def test_answers_are_explained(three: Running, models: Models) -> None:
    pytest.importorskip("captum")
    reply = three.tell(["fine lovely great 3"], "/models/texts/explain")
    assert reply.status == 200, reply.content
    assert [word["text"] for word in reply.json["explanations"][0]["words"]][:2] == [
        "fine",
        "lovely",
    ]
    picture = photos(models)[0].read_bytes()
    why = three.send(picture, "image/png", "/models/pictures/explain").json["explanations"][0]
    assert np.shape(why["heat"]) == (16, 16) and why["overlay"].startswith("iVBOR")
    assert three.tell(["x"] * 9, "/models/texts/explain").status == 413


def test_pages_say_what_is_served(three: Running) -> None:
    assert three.ask("/health").status == three.ask("/ready").status == 200
    document = three.ask("/openapi.json").json
    assert document["openapi"].startswith("3.1") and "/models/texts/predict" in document["paths"]
    manual = three.ask("/docs").content.decode()
    assert "POST /models/rows/predict" in manual and "curl -X POST" in manual
    assert [each["name"] for each in three.ask("/models").json["models"]] == [
        "pictures",
        "texts",
        "rows",
    ]
    assert three.ask("/models/rows").json["kind"] == "numbers"
    assert "/models/texts/card" in three.ask("/").content.decode()
    report = three.ask("/models/pictures/report")
    policy = report.headers["Content-Security-Policy"]
    assert report.status == 200 and "sandbox allow-scripts" in policy and "'none'" in policy
    assert "<h1>bad, good</h1>" in three.ask("/models/texts/card").content.decode()
    three.tell(["fine lovely great 5"], "/models/texts/predict")
    assert three.metric("headstart_requests_total") > 0


def test_nothing_of_torch_is_loaded_to_answer(models: Models, tmp_path: Path) -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("needs /proc to see what a process has loaded")
    with server(tmp_path, models.place("pictures"), models.place("texts")) as running:
        picture = photos(models)[0].read_bytes()
        assert running.send(picture, "image/png", "/models/pictures/predict").status == 200
        assert running.tell(["fine"], "/models/texts/predict").status == 200
        loaded = Path(f"/proc/{running.process.pid}/maps").read_text()
        assert "openvino" in loaded and "libtorch" not in loaded


def test_limits_are_kept(models: Models, tmp_path: Path) -> None:
    flags = ("--body", "0.5", "--items", "4", "--pixels", "1", "--waiting", "3", "--timeout", "5")
    with server(tmp_path, models.place("pictures"), *flags) as running:
        good = base64_of(photos(models)[0])
        assert running.send(b"x" * 600_000, "image/png").status == 413
        assert running.tell([good] * 5).status == 413
        never = running.tell([good] * 4)
        assert never.status == 413 and "never fit" in never.json["error"]
        lines = [_begun(running) for _ in range(2)]  # which wait for their bodies
        _until(lambda: running.metric("headstart_waiting_items") == 2)
        busy = running.tell([good] * 2)
        assert busy.status == 503 and int(busy.headers["Retry-After"]) >= 1
        assert running.tell([good]).status == 200
        for line in lines:
            with line:
                assert b"408" in line.recv(4096).splitlines()[0]
        Image.new("1", (1200, 1200)).save(tmp_path / "large.png")
        large = running.send((tmp_path / "large.png").read_bytes(), "image/png")
        assert large.status == 422 and "more than 1 million pixels" in large.json["error"]


def _begun(running: Running) -> socket.socket:
    """A request whose body does not come."""
    line = socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE)
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    line.sendall(f"{head}Content-Length: 100\r\n\r\nab".encode())
    return line


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_takes_too_long_is_given_up(models: Models, tmp_path: Path) -> None:
    Image.new("RGB", (6000, 6000)).save(tmp_path / "large.png")
    with server(tmp_path, models.place("pictures"), "--timeout", "0.03") as running:
        content, kind = form({f"{n}.png": (tmp_path / "large.png").read_bytes() for n in range(4)})
        late = running.send(content, kind)
        assert late.status == 504 and "0.03 s" in late.json["error"]
        assert running.ask("/health").status == 200


def test_a_token_is_demanded(models: Models, tmp_path: Path) -> None:
    token = "0123456789abcdef0123"
    with server(tmp_path, models.place("texts"), HEADSTART_TOKEN=token) as running:
        refused = running.tell(["fine"])
        assert refused.status == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
        for wrong in (f"Bearer {token}x", f"Basic {token}", "Bearer", "Bearer é"):
            sent = {**JSON, "Authorization": wrong}
            assert running.ask("/predict", b'{"inputs": ["fine"]}', sent).status == 401
        right = {**JSON, "Authorization": f"Bearer {token}"}
        assert running.ask("/predict", b'{"inputs": ["fine"]}', right).status == 200
        assert running.ask("/metrics").status == 401
        assert running.ask("/health").status == running.ask("/ready").status == 200
        assert token not in "\n".join(running.said)
        assert token.encode() not in running.ask("/docs", headers=right).content


def test_pages_of_other_sites_are_not_heard(three: Running) -> None:
    place, body = "/models/texts/predict", b'{"inputs": ["fine"]}'
    assert three.ask("/models", headers={"Host": "evil.example"}).status == 403
    assert three.ask(place, body, {**JSON, "Origin": "https://evil.example"}).status == 403
    assert three.ask(place, body, {**JSON, "Sec-Fetch-Site": "cross-site"}).status == 403
    own = {**JSON, "Origin": f"http://127.0.0.1:{three.port}", "Sec-Fetch-Site": "same-origin"}
    assert three.ask(place, body, own).status == 200
    swap = three.ask("/models/texts/swap", b"", {"Origin": "null"})
    assert swap.status == 403
    Access("", loopback=False).demand("/", "GET", {"host": "any.example"})
    with pytest.raises(RefusedError):
        Access("t" * 20, loopback=False).demand("/", "GET", {"host": "any.example"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "--without-token"),
        (["--port", "99999999"], "can't be used"),
        (["--items", "0"], "leaves room for no request"),
        (["--token-file", "none.txt"], "none.txt can't be read"),
        (["--log", "/dev/null/logs"], "--no-log"),
    ],
)
def test_what_can_not_be_served_is_said_at_once(
    models: Models, tmp_path: Path, arguments: list[str], message: str
) -> None:
    command = ["serve", str(models.place("texts")), "--port", "0", "--log", str(tmp_path / "log")]
    done = CliRunner().invoke(app, [*command, *arguments])
    assert done.exit_code == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_a_missing_library_is_named_with_its_extra(models: Models, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; from headstart.cli import main; "
        f"sys.argv = ['headstart', 'serve', {str(models.place('texts'))!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 2 and "pip install 'headstart[serve]'" in done.stderr


def test_models_have_names_that_addresses_hold(tmp_path: Path) -> None:
    assert folders(["a=x/y", str(tmp_path)]) == {"a": Path("x/y"), tmp_path.name: tmp_path}
    for wrong, reason in ((["x", "other/x"], "called x"), (["b d"], "no name"), ([], "No model")):
        with pytest.raises(HeadstartError, match=reason):
            folders(wrong)


def test_what_began_is_answered_before_the_end(models: Models, tmp_path: Path) -> None:
    with server(tmp_path, models.place("texts")) as running:
        body = json.dumps({"inputs": ["fine"]}).encode()
        with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as line:
            head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            line.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body[:5])
            time.sleep(0.5)  # it has begun
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            line.sendall(body[5:])
            answer = b""
            while part := line.recv(65536):
                answer += part
        assert b"200 OK" in answer and b'"predictions"' in answer
        assert running.process.wait(PATIENCE) == 0
        assert len(running.lines("texts")) == 1


def test_one_missing_file_spoils_no_other_answer(models: Models) -> None:
    predictor: Any = hs.load(models.place("pictures"))
    predictions = predictor.predict([models.folder / "none.png", photos(models)[0]])
    assert predictions[0].error == "it does not exist" and not predictions[1].error
