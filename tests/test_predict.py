"""A saved model at work: one answer an input, whatever goes wrong, in every form of output."""

from __future__ import annotations

import builtins
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow.parquet
import pytest
from conftest import Fitted, write_pictures
from peak_memory import output_of
from PIL import Image
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.errors import DataError
from headstart.evidence import Interval
from headstart.report import as_text
from headstart.results import Evaluation
from headstart.serve import Prediction, Predictions
from headstart.serve.written import write

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Any:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of texts, fitted on columns that were named."""
    root = tmp_path_factory.mktemp("reviews")
    lines = [f"{'good fine' if n % 2 else 'bad dull'} film {n},no,{n % 2}" for n in range(60)]
    (root / "t.csv").write_text("\n".join(["review,other,stars", *lines]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root / "cache"))
        settings = hs.Settings(
            label="stars",
            text=("review",),
            targets="classes",
            scratch=False,
            evidence="none",
        )
        hs.fit(
            *(root / "t.csv", "seeded:bag", root / "model"),
            strategy="feature-extraction",
            settings=settings,
        )
    return root


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five pictures, of which one is cut off and one is a text."""
    folder = write_pictures(tmp_path / "photos", {"some": 5}) / "some"
    whole = (folder / "001.png").read_bytes()
    (folder / "001.png").write_bytes(whole[: len(whole) // 2])
    (folder / "003.png").write_text("no picture")
    return folder


def test_a_table_is_answered_row_by_row(reviews: Path) -> None:
    model = hs.load(reviews / "model")
    with open(reviews / "t.csv") as file:
        texts = [row["review"] for row in csv.DictReader(file)]
    predictions = model.predict(reviews / "t.csv")
    assert [each.path for each in predictions] == texts
    assert [each.id for each in predictions] == [f"t.csv#{n}" for n in range(2, 62)]
    assert [each.label for each in predictions[:2]] == ["0", "1"]
    one_by_one = [model.predict(text)[0] for text in texts[:4]]
    assert [each.label for each in one_by_one] == [each.label for each in predictions[:4]]
    record = json.loads(run("predict", reviews / "model", reviews / "t.csv", "--json").stdout)
    assert [row["path"] for row in record["predictions"]] == texts


def test_arguments_are_texts_unless_they_are_written_as_files(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").mkdir()
    for name in ("a", "b"):
        (tmp_path / "good" / f"{name}.txt").write_text(f"bad dull {name}")
    (tmp_path / "note").write_text("good fine")
    (tmp_path / "rows.csv").write_text("review\nfirst\nsecond\n")

    def paths(*arguments: str, stdin: str | None = None) -> list[str]:
        done = run("predict", reviews / "model", *arguments, "--json", stdin=stdin)
        assert done.exit_code == 0, done.stderr
        return [row["path"] for row in json.loads(done.stdout)["predictions"]]

    inside = [str(Path("good") / "a.txt"), str(Path("good") / "b.txt")]
    assert paths("good", "bad film", "note", "what? a *") == [
        "good",
        "bad film",
        "note",
        "what? a *",
    ]
    assert paths("good/") == paths("./good") == paths("--file", "good") == inside
    assert paths("--file", "note") == ["note"]
    assert paths("good/*.txt") == inside
    assert paths("rows.csv", "third") == ["first", "second", "third"]
    assert paths("-", stdin="one line\nanother, naïve\n") == ["one line", "another, naïve"]
    done = run("predict", reviews / "model", "absent.txt")
    assert done.exit_code == 2
    assert done.stderr.endswith("absent.txt can't be used: it does not exist. Give another.\n")
    assert run("predict", reviews / "model").exit_code == 2
    assert "names no file" in run("predict", reviews / "model", "--file", "").stderr


def test_another_column_is_named_by_a_flag(reviews: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("first,other\nx,y\n")
    done = run("predict", reviews / "model", tmp_path / "t.csv")
    assert done.exit_code == 2 and "no column for the content" in done.stderr
    done = run("predict", reviews / "model", tmp_path / "t.csv", "--text", "first", "--json")
    assert [row["path"] for row in json.loads(done.stdout)["predictions"]] == ["x"]
    assert [
        p.path for p in hs.load(reviews / "model").predict(tmp_path / "t.csv", text=["first"])
    ] == ["x"]


def test_a_bad_photo_stops_nothing(fitted: Fitted, photos: Path) -> None:
    model = hs.load(fitted.folder)
    predictions = model.predict(photos)
    assert [Path(each.path).name for each in predictions] == [f"00{n}.png" for n in range(5)]
    assert [bool(each.error) for each in predictions] == [False, True, False, True, False]
    assert predictions[3].error == "it is not a picture"
    assert predictions.failed == [predictions[1], predictions[3]]
    alone = model.predict([photos / "004.png"])[0]
    assert predictions[4].label == alone.label
    assert predictions[4].probability == pytest.approx(alone.probability)
    with pytest.raises(DataError, match=r"003\.png can't be used: it is not a picture"):
        _ = predictions[3].label
    with pytest.raises(DataError, match=r"001\.png can't be used, as well as 1 more"):
        model.predict([photos / "001.png", photos / "003.png"])
    with pytest.raises(DataError, match="No input was given"):
        model.predict([])

    done = run("predict", fitted.folder, photos, "--json")
    rows = json.loads(done.stdout)["predictions"]
    assert done.exit_code == 2
    assert done.stderr.endswith("error: 2 could not be answered; see the answer.\n")
    assert [row.keys() >= {"label", "probabilities"} for row in rows] == [
        not e.error for e in predictions
    ]
    assert rows[3] == {"path": str(photos / "003.png"), "error": "it is not a picture"}
    lines = run("predict", fitted.folder, photos).stdout.splitlines()
    assert len(lines) == 6 and "no answer: it is not a picture" in lines[4]


def test_a_bad_photo_stops_no_explanation(fitted: Fitted, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("captum")
    maps = tmp_path / "maps"
    done = run("predict", fitted.folder, photos, "--explain", "--out", maps, "--json")
    rows = json.loads(done.stdout)["predictions"]
    assert done.exit_code == 2
    assert ["explanation" in row for row in rows] == [True, False, True, False, True]
    assert len(list(maps.iterdir())) == 3


def test_a_manifest_of_pictures_and_a_pattern(fitted: Fitted, photos: Path) -> None:
    table = photos.parent / "list.csv"
    table.write_text("id,image,label\np0,some/000.png,\np1,some/absent.png,ants\n")
    first, second = hs.load(fitted.folder).predict(str(table))
    assert (first.id, first.path) == ("p0", str(photos / "000.png")) and first.label
    assert (second.id, second.error) == ("p1", "it can't be read: no such file or directory")
    ended = run("predict", fitted.folder, f"{photos}/00[04].png", "--json")
    assert len(json.loads(ended.stdout)["predictions"]) == 2
    done = run("predict", fitted.folder, f"{photos}/*.bmp")
    assert done.exit_code == 2 and "matches no file" in done.stderr
    assert "names no file" in run("predict", fitted.folder, "").stderr
    lines = f"{photos / '000.png'}\n{photos / '004.png'}\n"
    assert (
        len(
            json.loads(run("predict", fitted.folder, "-", "--json", stdin=lines).stdout)[
                "predictions"
            ]
        )
        == 2
    )


def test_the_column_of_pictures_is_the_one_that_names_files(fitted: Fitted, photos: Path) -> None:
    (photos.parent / "list.csv").write_text("id,breed\n000,ants\n004,bees\n")
    predictions = hs.load(fitted.folder).predict(photos.parent / "list.csv")
    assert [each.path for each in predictions] == [str(photos / f"{n}.png") for n in ("000", "004")]
    (photos.parent / "two.csv").write_text("a,b\nsome/x.png,1\nsome/y.png,2\n")
    done = run("predict", fitted.folder, photos.parent / "two.csv")
    assert done.exit_code == 2 and "(--image, or image= from Python)" in done.stderr
    photos.joinpath("x.png").write_bytes(photos.joinpath("000.png").read_bytes())
    ended = run("predict", fitted.folder, photos.parent / "two.csv", "--image", "a", "--json")
    rows = json.loads(ended.stdout)["predictions"]
    assert [row["path"] for row in rows] == [str(photos / "x.png"), str(photos / "y.png")]
    assert "label" in rows[0] and "no such file" in rows[1]["error"]


def test_answers_are_written_as_a_table(fitted: Fitted, photos: Path, tmp_path: Path) -> None:
    stdout = run("predict", fitted.folder, photos, "--json").stdout
    rows = json.loads(stdout)["predictions"]
    columns = [
        "path",
        "id",
        "label",
        "probability",
        "probability_ants",
        "probability_bees",
        "familiarity",
        "set",
        "error",
    ]
    for suffix in ("csv", "parquet", "jsonl"):
        out = tmp_path / "new" / f"answers.{suffix}"
        done = run("predict", fitted.folder, photos, "--out", out)
        assert done.exit_code == 2
        assert f"3 of 5 inputs are answered in {out}." in done.stdout
        written = read(out)
        assert list(written[0]) == columns
        assert [row["path"] for row in written] == [row["path"] for row in rows]
        assert [row["error"] or None for row in written] == [row.get("error") for row in rows]
        for row, expected in zip(written, rows, strict=True):
            if "error" not in expected:
                assert row["label"] == expected["label"]
                assert float(row["probability_bees"]) == pytest.approx(
                    expected["probabilities"]["bees"]
                )
        before = out.read_bytes()
        again = run("predict", fitted.folder, photos, "--out", out)
        assert again.exit_code == 2 and "already exists. Name a new file" in again.stderr
        assert out.read_bytes() == before
        assert [each.name for each in out.parent.iterdir() if each.name.startswith(".")] == []
    record = json.loads(
        run("predict", fitted.folder, photos, "--out", tmp_path / "a.csv", "--json").stdout
    )
    assert (record["items"], record["failures"]) == (5, 2)
    assert record["failed"][1]["error"] == "it is not a picture"


def read(path: Path) -> list[dict[str, Any]]:
    """A written table's rows."""
    if path.suffix == ".parquet":
        return list(pyarrow.parquet.read_table(path).to_pylist())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_any_answer_fits_into_a_table(suffix: str, tmp_path: Path) -> None:
    sets = [
        Prediction("bad", {}, error="it is empty"),
        Prediction("a", {"labels": [], "probabilities": {"x": 0.25}}),
        Prediction("b", {"labels": ["x", "=y"], "probabilities": {"x": 0.75}}),
    ]
    write(tmp_path / f"sets.{suffix}", sets)
    bad, empty, both = read(tmp_path / f"sets.{suffix}")
    assert bad["error"] == "it is empty" and not bad["labels"]
    labels = [json.loads(r["labels"]) if suffix == "csv" else r["labels"] for r in (empty, both)]
    assert labels == [[], ["x", "=y"]]
    assert float(both["probability_x"]) == 0.75
    write(tmp_path / f"n.{suffix}", [Prediction("a", {"value": -1.5})])
    assert float(read(tmp_path / f"n.{suffix}")[0]["value"]) == -1.5
    write(tmp_path / f"v.{suffix}", [Prediction("a", {"values": {"h": 1.0, "w": 2.0}})])
    assert float(read(tmp_path / f"v.{suffix}")[0]["value_w"]) == 2.0


def test_no_cell_becomes_a_formula(tmp_path: Path) -> None:
    texts = ['=cmd|"/c calc"!A1', "+1+2", "-2+3", "@SUM(A1)", "\t=1", "-1", "+3.5", "plain = x"]
    for suffix in ("csv", "jsonl"):
        path = tmp_path / f"a.{suffix}"
        write(path, [Prediction(text, {"label": text}, id=text) for text in texts])
        rows = read(path)
        exact = [row["path"].removeprefix("'") for row in rows]
        assert exact == texts
        assert all(row["path"] == row["label"] == row["id"] for row in rows)
        if suffix == "csv":
            guarded = [row["path"].startswith("'") for row in rows]
            assert guarded == [True] * 5 + [False] * 3  # numbers are no formulas
        else:
            assert [row["path"] for row in rows] == texts


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--out", "answers.txt"], "answers.txt is of no kind that answers are written in"),
        (["--out", "maps"], "a folder is for the heat maps of --explain"),
        (["--explain", "--out", "a.csv"], "a.csv would be a table, and --explain draws"),
    ],
)
def test_a_place_that_is_none_is_told_before_any_work(
    flags: list[str], words: str, fitted: Fitted, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    done = run("predict", fitted.folder, photos, *flags)
    assert done.exit_code == 2 and words in done.stderr
    assert sorted(each.name for each in photos.iterdir()) == [f"00{n}.png" for n in range(5)]


def test_an_interrupted_table_leaves_nothing(tmp_path: Path) -> None:
    def breaking() -> Any:
        yield Prediction("a", {"value": 1.0})
        raise DataError("b is no picture. Leave it out.")

    for suffix in ("csv", "parquet", "jsonl"):
        with pytest.raises(DataError):
            write(tmp_path / f"a.{suffix}", breaking())
    with pytest.raises(DataError, match="No input was given"):
        write(tmp_path / "a.csv", [])
    assert list(tmp_path.iterdir()) == []


def test_each_file_is_read_once_and_none_long_before_its_turn(
    fitted: Fitted, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = hs.load(fitted.folder)
    reads: list[Path] = []
    plain = Path.read_bytes

    def counted(path: Path) -> bytes:
        reads.append(path)
        return plain(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    names = [photos / f"00{n % 5}.png" for n in range(1000)]
    count = 0

    def drawing() -> Any:
        nonlocal count
        for name in names:
            count += 1
            yield name

    answers = model.stream(drawing())
    next(answers)
    assert count < 300
    assert len(list(answers)) == 999
    assert len(reads) == 1000


@pytest.mark.parametrize("command", ["predict", "evaluate", "report", "compare"])
def test_offline_opens_no_socket(
    command: str,
    fitted: Fitted,
    tmp_path: Path,
    no_network: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # and restored after --offline
    monkeypatch.chdir(tmp_path)
    inputs = [fitted.pictures / "ants"] if command == "predict" else [fitted.pictures]
    models = [fitted.folder] * (2 if command == "compare" else 1)
    done = run(command, *models, *inputs, "--offline")
    assert done.exit_code == 0, done.stderr
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_notebook_shows_answers_whole_and_harmless() -> None:
    evil = "<script>alert(1)</script>"
    result = Predictions(
        [Prediction(evil, {"label": evil, "probability": 0.5}), Prediction("b", {}, error=evil)]
    )
    page = result._repr_html_()
    assert "<script" not in page and page.count("&lt;script&gt;") == 3
    assert page.count("<tr>") == 3
    many = Predictions(Prediction(f"{n}.png", {"label": "x"}) for n in range(1500))
    assert "… and 500 more." in many._repr_html_()
    assert "\x1b" not in str(Predictions([Prediction("\x1b[31mred\nline", {"label": "x"})]))
    assert len(str(Predictions([Prediction("a\nb", {"label": "x"})])).splitlines()) == 2


@final
class ZMQInteractiveShell:
    """What a notebook's shell is called, which is how libraries know one."""


def test_a_notebook_gets_whole_results_and_no_stray_output(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = hs.evaluate(fitted.folder, fitted.pictures)
    ranking = hs.rank(fitted.pictures, ["seeded:convnet"])
    reported = hs.reported(fitted.folder)
    results: list[Any] = [fitted.result, values, ranking, reported]
    results.append(hs.load(fitted.folder).predict(fitted.pictures / "ants"))
    before = [str(result) for result in results]
    card = (fitted.folder / "README.md").read_text(encoding="utf-8")
    capsys.readouterr()
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as kernels have it
    for result, text in zip(results, before, strict=True):
        assert str(result) == text and len(text) > 100 and "\x1b" not in text
        assert len(result._repr_html_()) > 100
    for line in as_text(fitted.result.evidence.to_json()).splitlines():
        assert line in card
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")


def test_what_data_say_is_escaped_in_a_notebook() -> None:
    evil = "<img src=x onerror=alert(1)>"
    interval = Interval(0.5, 0.4, 0.6)
    evaluation = Evaluation(
        "accuracy", interval, {evil: {"items": 1, "value": 1.0}}, {"items": 1}, 0
    )
    assert evil in str(evaluation)
    assert evil not in evaluation._repr_html_() and "&lt;img" in evaluation._repr_html_()


def test_in_a_real_notebook_nothing_strays(fitted: Fitted, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    cells = [
        "import headstart as hs",
        f"made = hs.fit({str(fitted.pictures)!r}, 'seeded:convnet', {str(tmp_path / 'm')!r}, "
        "settings=hs.Settings(scratch=False, epochs=1, judge='holdout', evidence='quick'), "
        "progress=False)",
        "made",
        f"hs.load({str(tmp_path / 'm')!r}).predict({str(fitted.pictures)!r})",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbclient.NotebookClient(notebook, timeout=300).execute()
    kinds = [[output.output_type for output in cell.outputs] for cell in notebook.cells]
    assert kinds == [[], [], ["execute_result"], ["execute_result"]]
    assert len((tmp_path / "m" / "README.md").read_text(encoding="utf-8")) > 1000


def test_python_prints_nothing_by_itself(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 10, "bees": 10})
    code = (
        "import sys, headstart as hs;"
        "settings = hs.Settings(scratch=False, epochs=1, judge='holdout', evidence='quick');"
        "made = hs.fit(sys.argv[1], 'seeded:convnet', sys.argv[2], settings=settings);"
        "model = hs.load(sys.argv[2]); model.predict(sys.argv[1]); made._repr_html_();"
        "hs.evaluate(sys.argv[2], sys.argv[1]); hs.strategies(); hs.backbones('seeded:*')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data), str(tmp_path / "model")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.slow
def test_twenty_thousand_files_take_bounded_memory(fitted: Fitted, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    # all of them together are 2.4 GB
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    for number in range(20_000):
        os.link(tmp_path / "one.png", folder / f"{number:05}.png")
    (folder / "10000.png").unlink()
    (folder / "10000.png").write_text("no picture")
    code = (
        "import sys; from typer.testing import CliRunner; from headstart.cli import app;"
        "done = CliRunner().invoke(app, ['predict', *sys.argv[1:]]);"
        "print(done.exit_code, peak())"
    )
    out = tmp_path / "answers.csv"
    printed = output_of(code, str(fitted.folder), str(folder), "--out", str(out))
    exit_code, kibibytes = map(int, printed.split())
    assert exit_code == 2
    rows = read(out)
    assert len(rows) == 20_000
    assert [row["error"] for row in rows if row["error"]] == ["it is not a picture"]
    assert kibibytes < 2 << 20
    shutil.rmtree(folder)


def test_an_input_that_cannot_be_used_is_told_what_to_do_once() -> None:
    plain = Prediction("a.png", {}, "", "it does not exist").unusable()
    assert str(plain) == "a.png can't be used: it does not exist. Give another."
    advised = Prediction("row 2", {}, "", "its 'size' is no number. Correct it").unusable(1)
    assert str(advised) == (
        "row 2 can't be used, as well as 1 more: its 'size' is no number. Correct it."
    )
