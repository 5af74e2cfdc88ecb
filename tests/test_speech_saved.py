"""Models that write down what is said, from the data to a folder that transformers opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from speakers import RATE, clips, letters, said, sentences, speech_to_text, whisper

import headstart as hs
from headstart.errors import HeadstartError
from headstart.explain import explain
from headstart.pipeline.pivoting import translate
from headstart.testing import check_part

FAST: Any = {"epochs": 2, "scratch": False, "evidence": "none", "device": "cpu"}
FROZEN = "feature-extraction?head=trained"
FOLDERS: Any = {
    "whisper": whisper,
    "letters": letters,
    "encoder": lambda folder: letters(folder, head=False),
    "speech_to_text": speech_to_text,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips(tmp_path_factory.mktemp("data") / "clips", sentences(30))


def theirs(folder: Path, sound: np.ndarray) -> str:
    """What transformers writes with the folder."""
    from transformers import AutoConfig, AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoProcessor

    auto_processor: Any = AutoProcessor
    processor = auto_processor.from_pretrained(folder)
    ctc = AutoConfig.from_pretrained(folder).model_type == "wav2vec2"
    auto: Any = AutoModelForCTC if ctc else AutoModelForSpeechSeq2Seq
    network = auto.from_pretrained(folder).eval()
    fed = processor(sound, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        if ctc:
            every = network(fed.input_values).logits[0].argmax(-1).tolist()
            own = processor.tokenizer
            special = {own.pad_token_id, own.word_delimiter_token_id}
            signs = {*own.all_special_ids} - special  # no letters; trained networks say none
            ids = [[number for number in every if number not in signs]]
        else:
            ids = network.generate(**fed, max_new_tokens=12)
    return str(processor.batch_decode(ids, skip_special_tokens=not ctc)[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*FOLDERS])
@pytest.mark.parametrize("strategy", [FROZEN, "full-fine-tuning"])
def test_a_model_is_saved_as_transformers_opens_it(
    kind: str, strategy: str, data: Path, tmp_path: Path
) -> None:
    """It answers in a fresh process as here, which `fit` checks, and there as here."""
    folder = FOLDERS[kind](tmp_path / "source")
    out = tmp_path / "dictation"
    result = hs.fit(data, f"hf:{folder}", out, strategy=strategy, learning_rate=3e-3, **FAST)
    assert result.evidence.metric == "spoken WER"
    assert ("zero-shot" in result.evidence.arms) == (kind != "encoder")
    assert "nearest-item" in result.evidence.arms
    record = json.loads((out / "headstart.json").read_text())
    assert record["task"] == "audio-transcription"
    opener = "AutoModelForSpeechSeq2Seq" if kind in ("whisper", "speech_to_text") else "CTC"
    card = hs.card(out).text
    assert opener in card and "sound.wav" in card
    assert 'pipeline_tag: "automatic-speech-recognition"' in card
    own = hs.load(out)
    frames = 59 * 160 + 165 if kind in ("letters", "encoder") else 15 * 640 + 240
    sound = said("ab cab ba", 1)[:frames]  # of which transformers hears no part of a frame
    import soundfile

    soundfile.write(tmp_path / "s.wav", sound, RATE, subtype="FLOAT")
    (answer,) = own.predict([tmp_path / "s.wav"])
    assert answer.answer["text"].split() == theirs(out, sound).split()


@pytest.mark.slow
def test_a_frozen_encoder_is_stored_and_stays(data: Path, tmp_path: Path) -> None:
    """Training on stored states gives what training behind the running encoder does."""
    folder = letters(tmp_path / "source", stable=True)
    outputs = []
    for cached in (True, False):
        result = hs.fit(
            data, f"hf:{folder}", tmp_path / f"{cached}", strategy=FROZEN, cache=cached, **FAST
        )
        outputs.append(result.evidence.arms["chosen"].outputs["test"])
        assert result.evidence.checks["frozen stages are bit-identical"]
    assert np.array_equal(outputs[0], outputs[1])


@pytest.mark.slow
def test_a_model_is_a_parent_for_other_letters(data: Path, tmp_path: Path) -> None:
    folder = letters(tmp_path / "source")
    hs.fit(data, f"hf:{folder}", tmp_path / "first", strategy=FROZEN, **FAST)
    other = clips(tmp_path / "other", [text.replace("a", "д") for text in sentences(30, 1)])
    result = hs.fit(other, f"{tmp_path}/first", tmp_path / "second", strategy=FROZEN, **FAST)
    assert "zero-shot" in result.evidence.arms
    vocabulary = json.loads((tmp_path / "second" / "vocab.json").read_text(encoding="utf-8"))
    assert [*vocabulary][-1] == "Д" and vocabulary["A"] == 5
    with pytest.raises(HeadstartError, match="sequences that translate no texts"):
        translate(tmp_path / "second", ["ab"])
    with pytest.raises(HeadstartError, match=r"step by step\. Use `headstart predict`"):
        hs.export(tmp_path / "second", "onnx", tmp_path / "exported")
    with pytest.raises(HeadstartError, match=r"numbers can\. Leave --explain out\.$"):
        explain(hs.load(tmp_path / "second"), [next(other.glob("*.wav"))])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whisper", "letters", "speech_to_text"])
def test_networks_of_speech_keep_the_contract(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FOLDERS[kind](tmp_path / kind)
    monkeypatch.chdir(tmp_path)
    check_part("hubs", "hf", example=f"hf:{kind}?speech=true")


@pytest.mark.slow
def test_the_same_network_still_tells_classes(tmp_path: Path) -> None:
    """What is known of it from before knows nothing of what is said, and is asked for that."""
    data, folder = tmp_path / "classes", letters(tmp_path / "source")
    import soundfile

    for number in range(24):
        place = data / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        sound = said("ab"[number % 2] * 3, number)
        soundfile.write(place / f"{number}.wav", sound, RATE)
    for name in ("one", "two"):
        result = hs.fit(
            data, f"hf:{folder}", tmp_path / name, strategy="feature-extraction", **FAST
        )
        assert result.evidence.metric == "accuracy"
    spoken = clips(tmp_path / "spoken", sentences(30))
    hs.fit(spoken, f"hf:{folder}", tmp_path / "three", strategy=FROZEN, **FAST)
