"""T5 and mT5: read, taught and written as transformers does, fitted, saved and opened there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from translators import Opened, pairs, t5, table

import headstart as hs

ROWS = pairs(60)
FAST: Any = {"epochs": 1, "scratch": False, "evidence": "none", "device": "cpu"}


@pytest.mark.parametrize("kind", ["t5", "t5 of unscaled output", "mt5"])
def test_t5_writes_as_transformers_does(kind: str, tmp_path: Path) -> None:
    """Encoder, taught pieces and beams; layers behind the first know how far apart places are."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = t5(tmp_path / "model", kind == "mt5", kind == "t5")
    own, tokenizer = Opened(f"hf:{folder}"), AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    sources, targets = (list(side) for side in zip(*ROWS[:3], strict=True))
    fed = tokenizer(sources, return_tensors="pt", padding=True)
    states, mask = own.states(sources), fed["attention_mask"].bool()
    with torch.inference_mode():
        theirs = network.get_encoder()(**fed).last_hidden_state
        torch.testing.assert_close(states["hidden"][mask], theirs[mask], rtol=1e-4, atol=1e-5)
        right = tokenizer(text_target=targets, return_tensors="pt", padding=True)["input_ids"]
        rows = network(**fed, labels=right).logits.log_softmax(-1)
        each = rows.gather(2, right[:, :, None])[:, :, 0] * (right != tokenizer.pad_token_id)
        expected = each.sum(1) / (right != tokenizer.pad_token_id).sum(1)
        torch.testing.assert_close(own.writer.likelihoods(states, targets), expected)
        for source in sources:
            (((text, _),),) = own.writer.candidates(own.states([source]), 1)
            alone = tokenizer([source], return_tensors="pt")
            most = 2 * alone["input_ids"].shape[1] + 12
            ending: Any = {"num_beams": 4, "early_stopping": True, "forced_eos_token_id": 1}
            ending["bad_words_ids"] = [[tokenizer.pad_token_id]]
            written = network.generate(**alone, max_new_tokens=most, **ending)
            assert text == str(tokenizer.decode(written[0], skip_special_tokens=True)).strip()


def test_t5_is_fitted_saved_and_opened_in_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = t5(tmp_path / "model")
    data, place = table(tmp_path / "pairs.csv", ROWS), tmp_path / "en-ru"
    chosen: Any = {**FAST, "source": "en", "target": "ru"}
    hs.fit(data, f"hf:{folder}", place, strategy="full-fine-tuning", **chosen)
    own = hs.load(place)
    (answer,) = own.predict(["the cat sees %1"])
    assert isinstance(answer.answer["text"], str)
    network = AutoModelForSeq2SeqLM.from_pretrained(place).eval()
    fed = AutoTokenizer.from_pretrained(place)(["the cat sees %1"], return_tensors="pt")
    with torch.inference_mode():
        theirs = network.get_encoder()(**fed).last_hidden_state
        ours = own.model.features({"input_ids": fed.input_ids, "mask": fed.attention_mask})
    torch.testing.assert_close(ours["hidden"], theirs, rtol=1e-4, atol=1e-5)
    state = own.model.head.state_dict()
    for name in ("lm_head.weight", "decoder.embed_tokens.weight"):
        assert torch.equal(network.get_parameter(name), state[name])
