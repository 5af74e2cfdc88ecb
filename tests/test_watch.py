"""A stream watched: few false alarms over all of it, early true ones, and what is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Fitted
from PIL import Image
from test_familiarity import blobs, shares
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.drift import Reference
from headstart.drift.watching import FALSE_ALARMS, LENGTH, STEP, WINDOWS, Event, Watch, level
from headstart.errors import DataError, HeadstartError


def run(*arguments: str | Path, stdin: str | None = None) -> Any:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def watcher(seed: int = 0, labelled: bool = False) -> Watch:
    """One that knows 300 blobs."""
    reference = Reference.of(*blobs(300, seed))
    return Watch(reference, shares(reference.outputs), ("a", "b", "c"), labelled, seed)


def events(watch: Watch, *parts: tuple[np.ndarray, ...], right: Any = None) -> list[Event]:
    """What a stream of such parts brings."""
    results: list[Event] = []
    for features, outputs, _ in parts:
        names = [str(n) for n in range(len(features))]
        rows = (features, outputs, shares(outputs))
        results += watch.add(names, rows, None if right is None else right[: len(names)])
        right = None if right is None else right[len(names) :]
    return results


def test_levels_add_up_to_the_false_alarms_that_are_promised() -> None:
    for labelled in (False, True):
        total = 0.0
        for count in range(STEP, LENGTH + 1, STEP):
            for window in WINDOWS:
                if count >= window and count % (window // 2) == 0:
                    total += sum(level(window, labelled))
        assert total == pytest.approx(FALSE_ALARMS)


def test_streams_in_which_nothing_moves_bring_hardly_any_alarm() -> None:
    alarms = sum(
        any(e.is_alarm for e in events(watcher(n), blobs(400, n + 100))) for n in range(12)
    )
    assert alarms <= 2  # each with probability below .05: more than two of twelve have .02


def test_moved_inputs_are_found_within_a_hundred_items_and_a_class_mix_within_two_hundred() -> None:
    features, outputs, targets = blobs(900, 7)
    usual = (features[:200], outputs[:200], targets[:200])
    rest = slice(200, None)
    for move, mix, most in ((0.8, slice(0, 3), 100), (0.0, slice(0, 2), 200)):
        mask = np.isin(targets[rest], (0, 1, 2)[mix])
        later = tuple(part[rest][mask][:300] for part in (features, outputs, targets))
        alarms = events(watcher(), usual, (later[0] + move, later[1], later[2]))
        first = next(event for event in alarms if event.is_alarm)
        assert 200 < first.after <= 200 + most
        assert first.shift is not None and first.p <= level(first.window, False)[0]
        assert first.shift.inputs_moved is (move > 0)


def test_an_alarm_ends_where_all_is_as_before_and_comes_again() -> None:
    moved = blobs(150, 3)
    moved = (moved[0] + 1.5, moved[1], moved[2])
    alarms = events(watcher(), blobs(200, 2), moved, blobs(300, 4), moved)
    assert [event.is_alarm for event in alarms] == [True, False, True]
    assert alarms[1].after > 350


def test_errors_that_rise_are_found_though_inputs_are_as_before() -> None:
    right = np.ones(600)
    right[200:][np.random.default_rng(0).random(400) < 0.5] = 0
    right[::7] = np.nan
    result = events(watcher(labelled=True), blobs(600, 8), right=right)
    alarms = [event for event in result if event.is_alarm]
    assert alarms and alarms[0].errors is not None and 200 < alarms[0].after <= 300
    assert not any(e.is_alarm for e in events(watcher(labelled=True), blobs(400, 9)))


@pytest.fixture(scope="module")
def grey(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures that a model was fitted on, without their colours."""
    other = tmp_path_factory.mktemp("watched") / "grey"
    shutil.copytree(fitted.pictures, other)
    for path in other.rglob("*.png"):
        with Image.open(path) as picture:
            flat = picture.convert("L").convert("RGB")
        flat.save(path)
    return other


def stream(*folders: Path) -> Iterator[Path]:
    """Pictures of both classes in turn, one folder after the other."""
    for folder in folders:
        for pair in zip(
            *(sorted((folder / name).iterdir()) for name in ("ants", "bees")), strict=True
        ):
            yield from pair


def test_a_model_is_watched_from_python_and_the_command_line(fitted: Fitted, grey: Path) -> None:
    watched = hs.watch(fitted.folder, stream(fitted.pictures, grey))
    assert watched.items == 160 and watched.alarms
    assert 80 < watched.alarms[0].after <= 160
    assert "After" in str(watched) and "What to do:" in str(watched)
    lines = "\n".join(map(str, stream(fitted.pictures, grey)))
    done = run("watch", fitted.folder, "-", "--json", stdin=lines + "\nnot/there.png\n")
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["unread"] == 1 and record["events"][0]["alarm"] and record["events"][0]["advice"]
    calm = run("watch", fitted.folder, fitted.pictures / "ants")
    assert calm.exit_code == 0


def test_a_table_is_read_in_the_order_of_its_times(
    fitted: Fitted, grey: Path, tmp_path: Path
) -> None:
    shutil.copytree(fitted.pictures, tmp_path / "seen")
    shutil.copytree(grey, tmp_path / "grey")  # as a table leads nowhere but below its own folder
    paths = list(stream(tmp_path / "seen", tmp_path / "grey"))
    rows = [
        f"{path.relative_to(tmp_path)},2026-01-01T00:{n // 60:02}:{n % 60:02},"
        for n, path in enumerate(paths)
    ]
    labelled = [row + path.parent.name for row, path in zip(rows, paths, strict=True)]
    np.random.default_rng(0).shuffle(labelled)
    (tmp_path / "log.csv").write_text("\n".join(["path,moment,truth", *labelled]))
    table = tmp_path / "log.csv"
    ordered = hs.watch(fitted.folder, table, time="moment", label="truth")
    assert ordered.items == 160 and ordered.alarms and ordered.alarms[0].after > 80
    wrong = run("watch", fitted.folder, table, "--time", "when")
    assert wrong.exit_code == 2 and "no column 'when'. Name one of: path, moment" in wrong.stderr
    (tmp_path / "bad.csv").write_text(f"path,truth\n{paths[0].relative_to(tmp_path)},wasps\n")
    with pytest.raises(DataError, match=r"'wasps'.*which the model does not know"):
        hs.watch(fitted.folder, tmp_path / "bad.csv", label="truth")


@pytest.mark.parametrize(
    ("times", "strange"),
    [
        (("12/30/2023", "1/2/2024"), "12/30/2023"),
        (("1", "2024-01-01"), "1"),
        (("1", "nan"), "nan"),
        (("2024-01-01", ""), ""),
    ],
)
def test_times_that_order_nothing_are_refused(
    times: tuple[str, str], strange: str, fitted: Fitted, tmp_path: Path
) -> None:
    shutil.copytree(fitted.pictures, tmp_path / "seen")
    paths = [path.relative_to(tmp_path) for path in stream(tmp_path / "seen")]
    rows = [f"{path},{times[n % 2]}" for n, path in enumerate(paths)]
    (tmp_path / "log.csv").write_text("\n".join(["path,moment", *rows]))
    with pytest.raises(DataError, match=f"says '{strange}' in column moment, which orders no"):
        hs.watch(fitted.folder, tmp_path / "log.csv", time="moment")


def test_what_was_seen_until_a_stop_is_answered(fitted: Fitted) -> None:
    def stopped() -> Iterator[Path]:
        yield from stream(fitted.pictures)
        raise KeyboardInterrupt

    assert hs.watch(fitted.folder, stopped()).items > 20


def test_mistakes_are_answered_in_a_sentence(fitted: Fitted, tmp_path: Path) -> None:
    assert "No stream was given" in run("watch", fitted.folder).stderr
    done = run("watch", fitted.folder, fitted.pictures, "--time", "t")
    assert done.exit_code == 2 and "is no table" in done.stderr
    with pytest.raises(HeadstartError, match=r"was given; .*gone\.png: it does not exist\. Name"):
        hs.watch(fitted.folder, [tmp_path / "gone.png"])
