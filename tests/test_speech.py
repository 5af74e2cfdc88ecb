"""Networks that write down what is said: as transformers does, of any length, learned, saved."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from speakers import RATE, clips, letters, said, sentences, speech_to_text, whisper

import headstart as hs
from headstart import catalog
from headstart.contracts.model import Batch, Model
from headstart.contracts.sequences import decoded, encoded
from headstart.contracts.spoken import plain
from headstart.errors import HeadstartError
from headstart.loading.sequences.letter_heads import RecurrentLetterHead
from headstart.loading.sequences.letters import Letters
from headstart.modalities.audio import speech

FAST: Any = {"epochs": 1, "scratch": False, "evidence": "none", "device": "cpu"}
FOLDERS: Any = {
    "whisper": whisper,
    "wav2vec2": letters,
    "stable": lambda folder: letters(folder, stable=True),
    "hubert": lambda folder: letters(folder, "hubert"),
    "wavlm": lambda folder: letters(folder, "wavlm"),
    "speech_to_text": speech_to_text,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("speech")
    return {name: make(place / name) for name, make in FOLDERS.items()}


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    """A file of float samples."""
    written = io.BytesIO()
    soundfile.write(written, samples, rate, format="WAV", subtype="FLOAT")
    return written.getvalue()


class Opened:
    """A network under what writes, with what hears for it."""

    def __init__(self, reference: str, texts: list[str] | None = None) -> None:
        task = catalog.task("audio-transcription")
        backbone = catalog.load_backbone(reference)
        if texts is not None:
            backbone = task.prepared(backbone, [], texts)
        self.backbone = task.backbone(backbone)
        self.task = task.for_backbone(self.backbone)
        self.model = Model.of(self.backbone, self.task.head(self.backbone.feature_dim, ("x",)))
        self.model.eval()
        self.modality = catalog.modality("audio").fitted(self.backbone)

    def inputs(self, sounds: list[np.ndarray]) -> Any:
        """A batch of sounds."""
        fed = self.backbone.preprocess
        return self.modality.collate([self.modality.decode(wav(s), fed) for s in sounds], fed)

    def states(self, sounds: list[np.ndarray]) -> Any:
        """What the encoder makes of sounds."""
        with torch.no_grad():
            return self.model.features(self.inputs(sounds))

    def texts(self, sounds: list[np.ndarray]) -> list[str]:
        """What is written."""
        with torch.inference_mode():
            return decoded(self.model.head(self.states(sounds)).numpy())


def frames(count: int) -> np.ndarray:
    """A sound of so many whole frames of the small networks of letters."""
    return said("ab cab ba", 3)[: (count - 1) * 160 + 165]


@pytest.mark.parametrize("kind", ["wav2vec2", "stable", "hubert", "wavlm"])
def test_letters_are_those_of_transformers(folders: dict[str, Path], kind: str) -> None:
    from transformers import AutoModelForCTC, AutoProcessor

    own = Opened(f"hf:{folders[kind]}")
    auto_processor: Any = AutoProcessor
    processor = auto_processor.from_pretrained(folders[kind])
    network: Any = AutoModelForCTC.from_pretrained(folders[kind]).eval()
    sounds = [frames(40), frames(71)]
    states = own.states(sounds)
    logits = own.model.head.logits(states).detach()  # type: ignore[operator]
    for number, sound in enumerate(sounds):
        fed = processor(sound, sampling_rate=RATE, return_tensors="pt")
        with torch.inference_mode():
            theirs = network(fed.input_values).logits[0]
        size = int(states["mask"][number].sum())
        assert size == len(theirs)
        torch.testing.assert_close(logits[number, :size], theirs, rtol=1e-3, atol=1e-3)
    theirs = theirs.clone()
    theirs[:, 1:4] = -torch.inf  # signs that are no letters, which trained networks don't say
    best = theirs.argmax(-1)  # as ours may differ where two letters are as likely
    written = processor.batch_decode(best[None])[0]
    head: Any = own.model.head
    assert head.letters.text(best.tolist()).split() == written.split()


@pytest.mark.parametrize("language", ["", "ru"])
def test_whisper_writes_as_transformers_does(folders: dict[str, Path], language: str) -> None:
    from transformers import AutoProcessor, WhisperForConditionalGeneration

    option = f"?language={language}" if language else ""
    own = Opened(f"hf:{folders['whisper']}{option}")
    auto_processor: Any = AutoProcessor
    processor = auto_processor.from_pretrained(folders["whisper"])
    opened: Any = WhisperForConditionalGeneration.from_pretrained(folders["whisper"])
    network = opened.eval()
    sounds = [said("ab cab", 1), said("ca", 2)]
    fed = processor(sounds, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        theirs = network.model.encoder(fed.input_features).last_hidden_state
        ours = own.states(sounds)["hidden"][:, 0].unflatten(1, theirs.shape[1:])
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)
        ids = network.generate(
            fed.input_features, language=language or None, task="transcribe", max_new_tokens=12
        )
    written = processor.batch_decode(ids, skip_special_tokens=True)
    assert own.texts(sounds) == [text.strip() for text in written]
    assert len({*written}) > 0 and any(written)


def test_speech_to_text_writes_as_transformers_does(folders: dict[str, Path]) -> None:
    from transformers import AutoProcessor, Speech2TextForConditionalGeneration

    own = Opened(f"hf:{folders['speech_to_text']}")
    auto_processor: Any = AutoProcessor
    processor = auto_processor.from_pretrained(folders["speech_to_text"])
    opened: Any = Speech2TextForConditionalGeneration.from_pretrained(folders["speech_to_text"])
    network = opened.eval()
    sounds = [said("ab cab ba", 1)[: 15 * 640 + 240], said("ca ca ba ab", 2)[: 20 * 640 + 240]]
    states = own.states(sounds)
    together = own.texts(sounds)
    for number, sound in enumerate(sounds):
        fed = processor(sound, sampling_rate=RATE, return_tensors="pt")
        with torch.inference_mode():
            theirs = network.model.encoder(fed.input_features).last_hidden_state[0]
            ids = network.generate(**fed, max_new_tokens=12)
        ours = states["hidden"][number, : len(theirs)]
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)
        assert together[number] == processor.batch_decode(ids, skip_special_tokens=True)[0]


@pytest.mark.parametrize("kind", [*FOLDERS])
def test_what_is_written_doesnt_depend_on_the_batch(folders: dict[str, Path], kind: str) -> None:
    own = Opened(f"hf:{folders[kind]}")
    sounds = [said("ab cab ba ab", 1), said("a", 2), said("ca ba", 3)]
    together = own.texts(sounds)
    assert together == [own.texts([sound])[0] for sound in sounds]


@pytest.mark.parametrize("kind", ["whisper", "wav2vec2", "wavlm", "speech_to_text"])
def test_a_long_sound_is_written_by_windows(folders: dict[str, Path], kind: str) -> None:
    """Each window says what it says alone, up to the silence that fills it up."""
    own = Opened(f"hf:{folders[kind]}")
    fed = own.backbone.preprocess
    window = 30 * RATE if kind != "whisper" else int(fed["window"])
    once, tenths = said("ab cab ba", 1), 20 if kind == "whisper" else 11
    sound = np.tile(once, 1 + window * tenths // 10 // len(once))
    parts = speech.cut(sound, window, RATE)
    assert len(parts) > 1 and np.array_equal(np.concatenate(parts), sound)
    item = own.modality.decode(wav(sound), fed)
    if kind == "whisper":
        assert len(item) == len(parts)
        assert own.texts([sound])[0] == " ".join(filter(None, own.texts(parts)))
    else:
        assert len(item) > fed["block"]
    assert own.texts([sound, said("a")])[0] == own.texts([sound])[0]
    with pytest.raises(Exception, match="up to 5 min are written down"):
        own.modality.decode(wav(np.zeros(301 * 1000, np.float32), 1000), fed)


def test_networks_of_windows_hear_a_long_sound_whole() -> None:
    """Where what is said is written down; features are of windows spread over it."""
    plain_features = catalog.load_backbone("seeded:audio?hop=0.1").preprocess
    own = Opened("seeded:audio?hop=0.1", ["ab"])
    fed = own.backbone.preprocess
    rate, window, hop = (int(fed[name]) for name in ("rate", "window", "hop"))
    sound = np.tile(said("ab cab ba", 1, rate), 120)[: 70 * rate]
    item = own.modality.decode(wav(sound, rate), fed)
    assert len(item) == 1 + -(-(len(sound) - window) // hop)
    assert np.array_equal(item[1], sound[hop : hop + window] * np.float32(fed.get("scale", 1)))
    assert len(own.modality.decode(wav(sound, rate), plain_features)) < len(item)
    assert own.modality.accepts(fed)
    with pytest.raises(Exception, match="up to 5 min are written down"):
        own.modality.decode(wav(np.zeros(301 * 1000, np.float32), 1000), fed)


@pytest.mark.parametrize("kind", [*FOLDERS])
def test_a_step_learns(folders: dict[str, Path], kind: str) -> None:
    texts = sentences(6)
    own = Opened(f"hf:{folders[kind]}", texts)
    batch = Batch(
        own.inputs([said(t, n) for n, t in enumerate(texts)]), torch.from_numpy(encoded(texts))
    )
    optimizer = torch.optim.AdamW(own.model.parameters(), lr=5e-3)
    losses = []
    for _ in range(30):
        step = own.task.step(own.model, batch)
        losses.append(float(step.loss.detach()))
        optimizer.zero_grad()
        torch.autograd.backward(step.loss)
        optimizer.step()
    assert losses[-1] < losses[0] - 0.5


def test_from_sounds_of_several_windows_nothing_is_learned(folders: dict[str, Path]) -> None:
    own = Opened(f"hf:{folders['whisper']}")
    long, short = np.tile(said("ab cab"), 8), said("ab cab")
    head: Any = own.model.head
    alone = head.loss(own.states([short]), ["ab cab"])
    both = head.loss(own.states([short, long]), ["ab cab", "ca"])
    torch.testing.assert_close(alone, both)
    none = head.loss(own.states([long]), ["ca"])
    assert float(none.detach()) == 0.0
    (said_,) = head.remarks([1, 4], ["ab cab", "ca"])
    assert said_.startswith("1 of 2 sounds are longer than the 30 s")


@given(text=st.text(max_size=40))
@settings(deadline=None)
def test_plain_texts_stay_as_they_are(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert once == " ".join(once.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don\u2019t  stop, 'now'!", "don't stop now"),
        ("ЖІНКА \u2013 п'ять…", "жінка п'ять"),
        ("naïve co-op $5", "naïve co op 5"),
        ("हिन्दी", "हिन्दी"),
        ("...", ""),
    ],
)
def test_spoken_texts(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(text=st.text("abc\u0434\u0435' ", min_size=1, max_size=30))
@settings(deadline=None)
def test_letters_say_what_they_spell(text: str) -> None:
    """Each letter in a frame, with a blank between, reads as the text."""
    own = Letters.of([text])
    spelled = own.spelled(text)
    apart = [number for letter in spelled for number in (letter, own.blank)]
    assert own.text(apart) == plain(text)
    assert own.frames(text) <= max(1, len(apart))


def test_letters_that_are_there_keep_their_numbers() -> None:
    before = Letters({"<pad>": 0, "|": 1, "A": 2, "B": 3}, 0)
    after = before.grown(["Abc, ж!"])
    assert {name: after.ids[name] for name in before.ids} == before.ids
    assert [*after.ids][4:] == ["C", "Ж"]
    assert after.text(after.spelled("Abc ж")) == "ABC Ж"
    assert before.lacking("abж") == {"Ж"}


def test_a_text_of_more_letters_than_frames_counts_for_nothing(folders: dict[str, Path]) -> None:
    own = Opened(f"hf:{folders['wav2vec2']}")
    head: Any = own.model.head
    states = own.states([frames(5), frames(40)])
    loss = head.loss(states, ["abc abc abc", "ab"])
    assert torch.isfinite(loss)
    (said_,) = head.remarks([5, 40], ["abc abc abc", "ab"])
    assert said_.startswith("1 of 2 transcripts have more letters than their sounds have frames")
    assert head.remarks([3], ["aab"]) != [] == head.remarks([4], ["aab"])


def test_a_recurrent_head_is_restored_with_its_letters() -> None:
    head = RecurrentLetterHead(4, ["ab ж"])
    other = RecurrentLetterHead(4, ())
    other.load_state_dict(head.state_dict())
    states = {"hidden": torch.randn(2, 9, 4), "mask": torch.ones(2, 9, dtype=torch.long)}
    assert other.letters == head.letters
    torch.testing.assert_close(other.eval()(states), head.eval()(states))


def test_what_hears_no_speech_is_refused(tmp_path: Path) -> None:
    data = clips(tmp_path / "clips", sentences(20))
    with pytest.raises(HeadstartError, match="in which no letters can be told"):
        hs.fit(data, "seeded:audio", tmp_path / "no", target="text", **FAST)


@pytest.mark.parametrize(
    ("kind", "option", "message"),
    [
        ("whisper", "language=xx", r"has no language 'xx'\. Give one of its codes, such as en, ru"),
        ("whisper", "task=sing", "task=sing is not known"),
        ("wav2vec2", "vocabulary=none", "vocabulary='none' is not known"),
        ("speech_to_text", "language=en", "is of one language and one task"),
    ],
)
def test_options_that_cant_be(
    folders: dict[str, Path], kind: str, option: str, message: str
) -> None:
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(f"hf:{folders[kind]}?{option}")
