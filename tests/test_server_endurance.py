"""`serve` under load: nothing acknowledged is lost, by a kill or by a swap, and nothing grows."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from served import JSON, PATIENCE, Models, Running, models, server

import headstart as hs
from headstart.data import Input
from headstart.data.sources import of_texts
from headstart.errors import HeadstartError
from headstart.serve import Prediction
from headstart.serve.decoding import Decoded
from headstart.server.batching import Batcher, Job
from headstart.server.journal import Journal
from headstart.server.limits import Limits

__all__ = ["models"]


class Load:
    """Threads that ask again and again until they are told to stop, or the server is gone."""

    def __init__(self, running: Running, threads: int = 3) -> None:
        self.running = running
        self.acknowledged: list[str] = []
        self.versions: set[str] = set()
        self.failures: list[str] = []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join(PATIENCE)

    def wait_for(self, count: int) -> None:
        """Until so many more are acknowledged."""
        size, until = len(self.acknowledged), time.monotonic() + PATIENCE
        expected = size + count
        while len(self.acknowledged) < expected and time.monotonic() < until:
            time.sleep(0.01)
            if len(self.acknowledged) > size:  # slow machines may take long, but not stand still
                size, until = len(self.acknowledged), time.monotonic() + PATIENCE
        assert len(self.acknowledged) >= expected, self.failures[:3]

    def _ask(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=PATIENCE)
        body = json.dumps({"inputs": ["fine lovely", "poor dull"]}).encode()
        try:
            while not self.ending.is_set():
                line.request("POST", "/predict", body, JSON)
                reply = line.getresponse()
                content = json.loads(reply.read())
                if reply.status != 200:
                    self.failures.append(str(content))
                    continue
                self.acknowledged.append(content["request"])
                self.versions.add(content["version"])
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.failures.append(repr(error))
        finally:
            line.close()


def test_a_kill_loses_no_acknowledged_request(models: Models, tmp_path: Path) -> None:
    with server(tmp_path, models.place("texts")) as running:
        with Load(running) as load:
            load.wait_for(60)
            running.stop(signal.SIGKILL)
    table = tmp_path / "texts.jsonl"
    with table.open("a") as file:
        file.write('{"time": "torn')  # as a kill in the middle of a write would leave it
    with server(tmp_path, models.place("texts")) as running:
        assert running.tell(["fine"]).status == 200
        logged = [row["id"].partition("#")[0] for row in running.lines("texts")]
    assert set(load.acknowledged) <= set(logged)
    assert all(logged.count(name) == 2 for name in load.acknowledged)
    watched = hs.watch(models.place("texts"), table, time="time")
    assert watched.items == len(logged) and watched.unread == 0


def test_two_servers_never_share_a_log(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl").open()
    with pytest.raises(HeadstartError, match="another server"):
        Journal(tmp_path / "a.jsonl").open()
    journal.write([{"a": "é"}])
    (tmp_path / "a.jsonl").rename(tmp_path / "old.jsonl")
    journal.write([{"b": 1}])
    journal.close()
    assert (tmp_path / "old.jsonl").read_text() == '{"a": "\\u00e9"}\n'
    assert (tmp_path / "a.jsonl").read_text() == '{"b": 1}\n'


def test_a_swap_loses_no_request(models: Models, tmp_path: Path) -> None:
    data, folder = models.folder / "texts.csv", tmp_path / "texts"
    shutil.copytree(models.place("texts"), folder)
    settings = hs.Settings(scratch=False, evidence="none", seed=7)
    encoder = "seeded:text-encoder?seed=2"
    hs.fit(data, encoder, tmp_path / "new", strategy="feature-extraction", settings=settings)
    with server(tmp_path / "log", folder) as running, Load(running) as load:
        load.wait_for(10)
        first = running.ask("/models/texts").json["version"]
        shutil.move(folder, tmp_path / "old")
        shutil.move(tmp_path / "new", folder)
        answer = running.ask("/models/texts/swap", b"")
        assert answer.status == 200 and answer.json["version"] != first
        load.wait_for(10)
        shutil.move(folder, tmp_path / "new")
        shutil.move(tmp_path / "old", folder)  # which is seen without being told
        _until(lambda: running.ask("/models/texts").json["version"] == first)
        load.wait_for(10)
        (folder / "model.safetensors").write_bytes(b"no model")
        refused = running.ask("/models/texts/swap", b"")
        assert refused.status == 409 and "model.safetensors" in refused.json["error"]
        load.wait_for(10)
        about = running.ask("/models/texts").json
        assert about["version"] == first and about["problem"]
    assert not load.failures and len(load.versions) == 2


def test_another_kind_of_model_is_not_swapped_in(models: Models, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    shutil.copytree(models.place("texts"), folder)
    with server(tmp_path / "log", folder) as running:
        assert running.tell(["fine"]).status == 200
        shutil.move(folder, tmp_path / "old")
        shutil.copytree(models.place("pictures"), folder)
        refused = running.ask("/models/texts/swap", b"")
        assert refused.status == 409 and "name of its own" in refused.json["error"]
        assert running.tell(["fine"]).status == 200


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.2)


def _batcher(answer: Callable[[Sequence[Decoded]], list[Prediction]], **limits: Any) -> Batcher:
    return Batcher(
        answer, lambda jobs: None, lambda: 0, lambda items, seconds: None, Limits(**limits)
    )


def _job(*texts: str) -> tuple[Job, threading.Event]:
    done = threading.Event()
    inputs: list[Input] = [of_texts([text]) for text in texts]
    return Job("job", [Decoded(each, each.name) for each in inputs], done.set), done


def test_items_of_several_requests_are_joined() -> None:
    sizes: list[int] = []

    def answer(window: Sequence[Decoded]) -> list[Prediction]:
        sizes.append(len(window))
        if any(each.value == "bad" for each in window):
            raise ValueError("one spoils it")
        return [Prediction(each.input.name, {"label": each.value}) for each in window]

    batcher = _batcher(answer, batch=4)
    jobs = [_job("a", "b"), _job("c"), _job("d", "bad", "e")]
    for job, _ in jobs:
        batcher.put(job)
    batcher.start()
    batcher.close()
    assert all(done.wait(PATIENCE) for _, done in jobs)
    assert sizes[:2] == [4, 2] and max(sizes) == 4
    labels = [[each.answer.get("label") for each in job.predictions()] for job, _ in jobs]
    assert labels == [["a", "b"], ["c"], ["d", None, "e"]]
    assert "one spoils it" in jobs[2][0].predictions()[1].error


def test_what_can_not_be_kept_is_not_answered() -> None:
    def full(jobs: Sequence[Job]) -> None:
        raise OSError(28, "No space left on device")

    batcher = Batcher(
        lambda window: [Prediction("a", {"label": "a"}) for _ in window],
        full,
        lambda: 0,
        lambda items, seconds: None,
        Limits(),
    )
    job, done = _job("a")
    batcher.start()
    batcher.put(job)
    batcher.close()
    assert done.is_set() and isinstance(job.error, OSError)


def test_inputs_that_move_are_told(models: Models, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with server(tmp_path, models.place("pictures")) as running:
        for number in range(150):
            grey = rng.normal(128, 10, (16, 16, 1)).clip(0, 255).astype(np.uint8)
            Image.fromarray(np.repeat(grey, 3, 2)).save(tmp_path / "grey.png")
            content = (tmp_path / "grey.png").read_bytes()
            assert running.send(content, "image/png").status == 200
            if number % 25 == 24 and running.metric("headstart_drift_alarm"):
                break
        _until(lambda: running.metric("headstart_drift_alarm") == 1)
        assert running.ask("/models/pictures").json["drift"]["alarm"]
        assert any("After" in line for line in running.said)
        event = json.loads((tmp_path / "pictures.drift.jsonl").read_text().splitlines()[0])
        assert event["alarm"] and event["after"] <= 150


@pytest.mark.slow
def test_steady_load_leaves_memory_as_it_was(models: Models, tmp_path: Path) -> None:
    with server(tmp_path, models.place("texts")) as running:
        process = psutil.Process(running.process.pid)
        with Load(running) as load:
            load.wait_for(3000)  # threads, caches and the window of drift are full by then
            before = process.memory_info().rss
            load.wait_for(6000)
            grown = process.memory_info().rss - before
        assert not load.failures
        assert grown < 6 * 2**20, f"{grown} bytes in 6,000 requests"
        assert running.metric("headstart_waiting_items") == 0
        assert len(running.lines("texts")) == 2 * len(load.acknowledged)
        assert process.num_fds() < 100 and process.num_threads() < 40


@pytest.mark.slow
def test_a_detector_answers_with_boxes(tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch")
    from detectors import detector, squares

    data, model = squares(tmp_path / "data", 40), tmp_path / "boxes"
    network = f"graph:{detector(tmp_path / 'small.onnx')}"
    strategy = "feature-extraction?head=trained"
    hs.fit(data, network, model, strategy=strategy, scratch=False, epochs=4)
    picture = next(iter(sorted(data.rglob("*.png"))))
    with server(tmp_path / "log", model) as running:
        reply = running.send(picture.read_bytes(), "image/png")
        assert reply.status == 200, reply.content
        expected = hs.load(model).predict(picture)[0].to_json()
        assert len(reply.json["predictions"][0]["boxes"]) == len(expected["boxes"])
        assert running.send(picture.read_bytes(), "image/png", "/explain").status == 422
        assert len(running.lines("boxes")) == 1
