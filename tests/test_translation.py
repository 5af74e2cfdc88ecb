"""Networks that translate: pieces, states, teaching, writing, saving, and one from another."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor
from translators import OTHER, Opened, marian, mbart, pairs, table

import headstart as hs
from headstart.contracts.model import Batch
from headstart.contracts.sequences import encoded
from headstart.data import Item
from headstart.data.sources import FileSource
from headstart.errors import HeadstartError
from headstart.loading.sequences import pieces
from headstart.loading.sequences.bridging import shares, written
from headstart.loading.sequences.files import PieceFiles
from headstart.loading.sequences.lexicon import Lexicon
from headstart.loading.sequences.writer import Writer
from headstart.pipeline import checking
from headstart.pipeline.pivoting import demand_meeting, opened, translate
from headstart.testing import check_part

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
ROWS = pairs(60)
FAST: Any = {"epochs": 1, "scratch": False, "evidence": "none", "device": "cpu"}
TINY = "seeded:translator?width=16&layers=1&heads=2"


def grown() -> PieceFiles:
    """A vocabulary of both sides of the pairs."""
    sources, targets = zip(*ROWS, strict=True)
    return PieceFiles.of_bytes().grown(sources, targets)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return marian(tmp_path_factory.mktemp("marian") / "en-ru")


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("parent")
    data = table(place / "pairs.csv", ROWS)
    chosen: Any = {**FAST, "epochs": 2, "source": "en", "target": "ru"}
    hs.pretrain(data, TINY, place / "en-ru", anyway=True, **chosen)
    return place / "en-ru"


@given(
    text=st.text(
        st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Cf")), max_size=40
    )
)
@settings(max_examples=50, deadline=None)
def test_any_text_is_written_as_it_is_read(text: str) -> None:
    """Whatever letters the pieces lack are bytes."""
    from transformers import MarianConfig

    config = MarianConfig(pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
    vocabulary = GROWN.vocabulary(config)
    plain = text.replace("▁", "")
    ids = vocabulary.pieces(plain)
    assert vocabulary.texts([[vocabulary.start, *ids]]) == [plain]


GROWN = grown()


def test_what_stays_in_its_language_is_read_as_before() -> None:
    """Only the side whose texts were never seen brings pieces."""
    rows = pairs(60, OTHER)
    sources, targets = (list(side) for side in zip(*rows, strict=True))
    child = GROWN.grown(sources, targets)
    assert child.count > GROWN.count
    parts = [
        SentencePieceProcessor(model_proto=own.source).encode(sources) for own in (GROWN, child)
    ]
    assert parts[0] == parts[1]
    assert pieces.count(child.target, targets) < pieces.count(GROWN.target, targets)
    assert child.grown(sources, targets).ids == child.ids


def test_pieces_are_those_of_sentencepiece() -> None:
    from tokenizers import Tokenizer

    theirs = SentencePieceProcessor(model_proto=GROWN.source)
    ours = Tokenizer.from_str(GROWN.files()["tokenizer.json"].decode())
    for text in (*(text for row in ROWS for text in row), "  two  spaces ", "їжак 개미"):
        assert ours.encode(text, add_special_tokens=False).ids == theirs.encode(text)


@pytest.mark.parametrize("fifty", [False, True])
def test_mbart_is_taught_as_transformers_does(fifty: bool, tmp_path: Path) -> None:
    """The language begins what is written, behind the end in mBART-50, in its place in mBART."""
    from transformers import AutoTokenizer, MBartForConditionalGeneration

    folder = mbart(tmp_path / "model", fifty)
    own = Opened(f"hf:{folder}?source=en_XX&target=ru_RU")
    tokenizer = AutoTokenizer.from_pretrained(folder, src_lang="en_XX", tgt_lang="ru_RU")
    opened: Any = MBartForConditionalGeneration.from_pretrained(folder)
    network = opened.eval()
    sources, targets = (list(side) for side in zip(*ROWS[:2], strict=True))
    code = tokenizer.convert_tokens_to_ids("ru_RU")
    for source, target in zip(sources, targets, strict=True):
        fed = tokenizer([source], text_target=[target], return_tensors="pt")
        assert own.inputs([source])["input_ids"].tolist() == fed["input_ids"].tolist()
        with torch.inference_mode():
            theirs = network(**fed).logits[0].log_softmax(-1)
            rows = theirs.gather(1, fed["labels"][0][:, None])[:, 0]
            ours = own.writer.likelihoods(own.states([source]), [target])
        labels = rows if fifty else rows[:-1]  # mBART's labels end with the language
        assert float(ours[0]) == pytest.approx(float(labels.mean()), rel=1e-3)
    starting = own.writer.vocabulary.starting()
    assert code in (starting["decoder_start_token_id"], starting["forced_bos_token_id"])
    assert not any("ru_RU" in text for text, _ in own.writer.candidates(own.states(sources), 1)[0])
    with pytest.raises(HeadstartError, match="has no language 'xx_YY'"):
        Opened(f"hf:{folder}?source=en_XX&target=xx_YY")


def test_no_text_depends_on_the_others_of_its_batch(folder: Path) -> None:
    """Also where one is long, so that others have room to go on."""
    own = Opened(f"hf:{folder}")
    texts = ["the", "the cat", " ".join(["the big red dog sees"] * 5)]
    together = own.writer.candidates(own.states(texts), 2)
    for text, row in zip(texts, together, strict=True):
        (alone,) = own.writer.candidates(own.states([text]), 2)
        assert [each for each, _ in row] == [each for each, _ in alone]
        assert [score for _, score in row] == pytest.approx([s for _, s in alone], rel=1e-3)


@pytest.mark.parametrize("text", ["▁", "слово" * 9000, "\ud800", "\u202b\u202c", "a"])
def test_pieces_are_learned_from_any_text(text: str) -> None:
    """What stands for a space is no letter; there is nothing to learn where nothing else is."""
    learned = "".join(name for name, _ in pieces.trained([text]))
    assert {*learned} - {"▁"} == {*text} - {"▁", "\ud800"}


def test_a_grown_vocabulary_keeps_its_numbers() -> None:
    again = GROWN.grown(["a new word"], ["νέα λέξη"])
    assert len(again.ids) > len(GROWN.ids)
    assert {name: again.ids[name] for name in GROWN.ids} == GROWN.ids
    assert pieces.parsed(again.source).pieces[0].piece == pieces.PAD


def test_a_folder_of_transformers_answers_as_there(folder: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    own, tokenizer = Opened(f"hf:{folder}"), AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    sources, targets = (list(side) for side in zip(*ROWS[:6], strict=True))
    fed = tokenizer(sources, return_tensors="pt", padding=True)
    inputs = own.inputs(sources)
    assert torch.equal(inputs["input_ids"], fed.input_ids)
    states = own.states(sources)
    with torch.inference_mode():
        theirs = network.get_encoder()(**fed).last_hidden_state
        mask = fed.attention_mask.bool()
        torch.testing.assert_close(states["hidden"][mask], theirs[mask], rtol=1e-4, atol=1e-5)
        expected = tokenizer(text_target=targets, return_tensors="pt", padding=True).input_ids
        expected = expected.masked_fill(expected == tokenizer.pad_token_id, -100)
        logits = network(**fed, labels=expected).logits
        each = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), expected, ignore_index=-100, reduction="none"
        )
        right = -each.sum(1) / (expected != -100).sum(1)
        torch.testing.assert_close(own.writer.likelihoods(states, targets), right)


@pytest.mark.parametrize("beams", [1, 4])
def test_what_is_written_doesnt_depend_on_the_batch(folder: Path, beams: int) -> None:
    own = Opened(f"hf:{folder}")
    own.writer.beams = beams
    texts = [source for source, _ in ROWS[:5]]
    together = own.writer.candidates(own.states(texts), 1)
    alone = [own.writer.candidates(own.states([text]), 1)[0] for text in texts]
    for (one,), (other,) in zip(together, alone, strict=True):
        shorter = min(len(one[0]), len(other[0]))  # as a batch's longest source bounds all
        assert one[0][:shorter] == other[0][:shorter] != ""


def test_the_scores_of_candidates_fall(folder: Path) -> None:
    own = Opened(f"hf:{folder}")
    (row,) = own.writer.candidates(own.states([ROWS[0][0]]), 3)
    scores = [score for _, score in row]
    assert len({text for text, _ in row}) == 3
    assert scores == sorted(scores, reverse=True)


def test_a_step_learns(folder: Path) -> None:
    own = Opened(f"hf:{folder}")
    sources, targets = (list(side) for side in zip(*ROWS[:8], strict=True))
    batch = Batch(own.inputs(sources), torch.from_numpy(encoded(targets)))
    optimizer = torch.optim.AdamW(own.model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        step = own.task.step(own.model, batch)
        losses.append(float(step.loss.detach()))
        optimizer.zero_grad()
        torch.autograd.backward(step.loss)
        optimizer.step()
    assert losses[-1] < losses[0] - 1


def test_a_parent_opens_in_transformers(parent: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    network = AutoModelForSeq2SeqLM.from_pretrained(parent).eval()
    tokenizer = AutoTokenizer.from_pretrained(parent)
    own = hs.load(parent)
    texts = [source for source, _ in ROWS[:4]]
    fed = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.inference_mode():
        theirs = network.get_encoder()(**fed).last_hidden_state
    modality, preprocess = own.reader.modality, own.reader.preprocess
    inputs = modality.collate([modality.decode(t.encode(), preprocess) for t in texts], preprocess)
    assert torch.equal(inputs["input_ids"], fed.input_ids)
    with torch.inference_mode():
        ours = own.model.features(inputs)["hidden"]
    mask = fed.attention_mask.bool()
    torch.testing.assert_close(ours[mask], theirs[mask], rtol=1e-4, atol=1e-5)
    writer = cast(Writer, own.model.head)
    for text in texts:  # one at a time, as for each its own end
        alone = tokenizer([text], return_tensors="pt")
        states = own.model.features({"input_ids": alone.input_ids, "mask": alone.attention_mask})
        (((_, score),),) = writer.candidates(states, 1)
        ending: Any = {"forced_eos_token_id": network.config.eos_token_id, "early_stopping": True}
        ending["max_new_tokens"] = 2 * alone.input_ids.shape[1] + 12
        ending |= {"return_dict_in_generate": True, "output_scores": True}
        theirs = network.generate(**alone, num_beams=4, **ending)
        # of texts that are as likely, as many are after two epochs, either may come first
        assert score == pytest.approx(float(theirs.sequences_scores[0]), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["full-fine-tuning", "feature-extraction?head=trained"])
def test_a_child_of_a_parent(parent: Path, strategy: str, tmp_path: Path) -> None:
    data = table(tmp_path / "pairs.csv", pairs(60, OTHER), "uk")
    result = hs.fit(
        data, f"{parent}/", tmp_path / "en-uk", strategy=strategy, source="en", target="uk", **FAST
    )
    assert result.evidence.metric == "chrF"
    record = (tmp_path / "en-uk" / "vocab.json").read_text(encoding="utf-8")
    assert "\u0456" in record  # which Russian lacks
    (answer,) = hs.load(tmp_path / "en-uk").predict(["the cat sees %1"])
    assert isinstance(answer.answer["text"], str)


def test_models_that_dont_meet_are_refused(parent: Path) -> None:
    with pytest.raises(HeadstartError, match=r"writes ru and .* reads en, which are not both ru"):
        opened([parent, parent], ())
    with pytest.raises(HeadstartError, match=r"names 2\. Name one"):
        opened([parent, parent], ["ru", "en"])


@pytest.mark.parametrize(
    ("meeting", "via", "refused"),
    [
        (("ru", "ru"), (), ""),
        (("ru", "en"), None, "which are not both ru. Give models that meet in one language.$"),
        (("column 2", "source"), (), "not both column 2.*, or name it by --via.$"),
        (("column 2", "en"), (), "not both en.*, or name it by --via.$"),
        (("column 2", "en"), ("en",), ""),
        (("column 2", "en"), ("ru",), "not both ru"),
        (("target", "source"), ("en",), ""),
        (("target", "source"), None, ""),
    ],
)
def test_columns_that_name_no_language_meet_where_that_is_said(
    meeting: tuple[str, str], via: tuple[str, ...] | None, refused: str
) -> None:
    sides = [("ko", meeting[0]), (meeting[1], "de")]
    if not refused:
        demand_meeting(["a", "b"], sides, via)
        return
    with pytest.raises(HeadstartError, match=refused):
        demand_meeting(["a", "b"], sides, via)


def test_lost_placeholders_and_blank_lines(parent: Path) -> None:
    rows = translate(parent, ["", "%1 the cat", "  "]).rows
    assert [row.text for row in rows][::2] == ["", ""]
    assert rows[1].lost == (() if "%1" in rows[1].text else ("%1",))


def test_a_fresh_process_must_write_the_same_texts(parent: Path, tmp_path: Path) -> None:
    source = tmp_path / "0.txt"
    source.write_text(ROWS[0][0])
    items = [Item(str(source), "", None, FileSource(source))]
    (own,) = hs.load(parent).predict([source])
    other = {"text": f"{own.answer['text']}!"}
    with pytest.raises(HeadstartError, match="answers otherwise") as refused:
        checking.verify(parent, items, [other], ".txt")
    same = {"text": own.answer["text"]}  # what the fresh process wrote
    assert f": {same}, not {other}." in str(refused.value)


def test_what_needs_features_is_refused(parent: Path, tmp_path: Path) -> None:
    """A head that reads states has no row of features an item; the advice fits the command."""
    data = table(tmp_path / "pairs.csv", pairs(30, OTHER), "ru")
    with pytest.raises(HeadstartError, match=r"answers sequences.*headstart suggest needs"):
        hs.suggest(parent, data)
    with pytest.raises(HeadstartError, match=r"answers sequences.*headstart fit DATA -b"):
        hs.refit(parent, data)
    with pytest.raises(HeadstartError, match=r"boxes or texts.*with headstart evaluate"):
        hs.shift(parent, data)
    with pytest.raises(HeadstartError, match=rf"says nothing of sequences.*-b .*{parent.name}"):
        hs.rank(data, [str(parent), TINY], source="en", target="ru")


def test_a_parent_that_stays_as_it_was_is_said(parent: Path, tmp_path: Path) -> None:
    data = table(tmp_path / "pairs.csv", pairs(30, OTHER), "uk")
    settings: Any = {**FAST, "source": "en", "target": "uk", "strategy": "full-fine-tuning"}
    still = hs.fit(data, f"{parent}/", tmp_path / "still", learning_rate=1e-12, **settings)
    (message,) = (text for text in still.evidence.warnings if "began with" in text)
    assert f"{parent}/ as it was, and equals zero-shot" in message
    moved = still.evidence.arms
    assert moved["chosen"].outputs["test"].tolist() == moved["zero-shot"].outputs["test"].tolist()


def test_a_classifier_is_no_translator(tmp_path: Path) -> None:
    data = table(tmp_path / "pairs.csv", ROWS)
    with pytest.raises(HeadstartError, match="no decoder, which translations are written by"):
        hs.fit(data, "seeded:text-encoder", tmp_path / "no", source="en", target="ru", **FAST)


@pytest.mark.slow
def test_equal_pretrainings_are_equal(parent: Path, tmp_path: Path) -> None:
    data = table(tmp_path / "pairs.csv", ROWS)
    chosen: Any = {**FAST, "epochs": 2, "source": "en", "target": "ru", "cache": False}
    hs.pretrain(data, TINY, tmp_path / "again", anyway=True, **chosen)
    one, other = (
        (place / "model.safetensors").read_bytes() for place in (parent, tmp_path / "again")
    )
    assert np.array_equal(np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("reference", [TINY, "hf:en-ru"])
def test_networks_that_translate_keep_the_contract(
    folder: Path, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    check_part("hubs", reference.partition(":")[0], example=reference)


def test_a_frozen_encoder_is_stored_and_stays(parent: Path, tmp_path: Path) -> None:
    """What the decoder learns from is stored by piece, and no encoder's tensor moves."""
    data = table(tmp_path / "pairs.csv", ROWS)
    chosen: Any = {
        **FAST,
        "source": "en",
        "target": "ru",
        "strategy": "feature-extraction?head=trained",
    }
    results = []
    for cached in (True, False):
        out = tmp_path / f"cached-{cached}"
        result = hs.fit(data, f"{parent}?vocabulary=own", out, **chosen, cache=cached)
        results.append(result.evidence.arms["chosen"].outputs["test"])
        assert result.evidence.checks["frozen stages are bit-identical"]
    assert np.array_equal(results[0], results[1])


def test_pieces_of_the_same_pairs_have_like_vectors() -> None:
    rng = np.random.default_rng(0)
    rows = [sorted(rng.choice(20, 4, replace=False).tolist()) for _ in range(300)]
    own, other = Lexicon(rows, [[20 + each for each in row] for row in rows]).vectors(41, 16)
    assert (own[:20] @ other[20:40].T).argmax(1).tolist() == list(range(20))
    assert np.allclose(np.linalg.norm(own[:20], axis=1), 1, atol=1e-5)
    assert not own[40].any()  # no text has it
    for rows in ([[3]], [[3], [3]]):  # nothing to tell them apart by
        assert np.isfinite(Lexicon(rows, rows).vectors(5, 16)).all()


def test_pieces_stand_for_what_a_network_writes_in_their_place() -> None:
    rng = np.random.default_rng(0)
    old = [rng.choice(30, 5, replace=False).tolist() for _ in range(400)]
    new = [[30 + each for each in rng.permutation(row)] for row in old]
    meanings = shares(new, old, 60)
    assert {n: max(own, key=lambda o: own[o]) for n, own in meanings.items()} == {
        30 + number: number for number in range(30)
    }
    assert all(sum(own.values()) == pytest.approx(1) for own in meanings.values())
    assert shares([], [], 3) == shares([[]], [[1]], 3) == {}


def test_what_a_network_writes_depends_on_its_source_alone(parent: Path) -> None:
    own = Opened(str(parent))
    sources = [source for source, _ in ROWS[:9]]
    given = own.backbone.unpooled(), own.writer, own.backbone.files["tokenizer.json"]
    whole = written(*given, sources)
    assert whole == [row for source in sources for row in written(*given, [source])]
    assert not own.writer.hurried


def test_what_pairs_say_of_words_spares_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps lead to likelier answers for sentences that were not learned from."""
    syllables = ("ba", "do", "fi", "gu", "ke", "mo")
    own = ["".join(parts) for parts in product(syllables, repeat=3)]
    words = {word: word[::-1].translate(_LETTERS) for word in own}
    rows = pairs(440, words)
    begun = _after_steps(rows)
    monkeypatch.setattr(Lexicon, "start", lambda *_: None)
    assert begun > _after_steps(rows) + 0.2


_LETTERS = str.maketrans("abdefgikmou", "абдефгикмоу")


def _after_steps(rows: list[tuple[str, str]], steps: int = 80) -> float:
    """The mean log-probability by piece of the last answers after steps on the others."""
    learned, held = rows[:-40], rows[-40:]
    own = Opened("seeded:translator?width=32&layers=1&heads=2", learned)
    optimizer = torch.optim.Adam(own.model.requires_grad_(True).parameters(), lr=3e-3)
    for step in range(steps):
        part = [learned[place % len(learned)] for place in range(32 * step, 32 * step + 32)]
        sources, targets = (list(side) for side in zip(*part, strict=True))
        batch = Batch(own.inputs(sources), torch.from_numpy(encoded(targets)))
        optimizer.zero_grad()
        torch.autograd.backward(own.task.step(own.model, batch).loss)
        optimizer.step()
    sources, targets = (list(side) for side in zip(*held, strict=True))
    with torch.inference_mode():
        return float(own.writer.likelihoods(own.states(sources), targets).mean())


def test_pairs_without_a_header_are_evaluated_as_the_error_says(
    parent: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bare.tsv"
    path.write_text(
        "".join(f"{n} {one} here\t{other} {n} there\n" for n, (one, other) in enumerate(ROWS))
    )
    with pytest.raises(HeadstartError, match="give --text 'column 1' --label 'column 2'"):
        hs.evaluate(parent, path)
    assert hs.evaluate(parent, path, text="column 1", label="column 2").metric == "chrF"
