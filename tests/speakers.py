"""Small networks of speech with random weights, and sounds whose letters are tones."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

RATE = 16_000
WORDS = ("ab", "ba", "cab", "abc", "ca")
TONES = {"a": 400.0, "b": 900.0, "c": 1700.0}
LETTER = 0.08  # seconds


def said(text: str, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A sound in which each letter is a tone, spaces are silence, with a little noise."""
    rng = np.random.default_rng(seed)
    count = int(LETTER * rate)
    times = np.arange(count) / rate
    parts = [np.zeros(count // 2)]
    for letter in text:
        tone = TONES.get(letter.lower(), 0.0)
        parts += [np.sin(2 * np.pi * tone * times) * (0.3 if tone else 0.0), np.zeros(count // 4)]
    samples = np.concatenate([*parts, np.zeros(count // 2)])
    return np.asarray(samples + 0.005 * rng.standard_normal(len(samples)), np.float32)


def sentences(count: int, seed: int = 0) -> list[str]:
    """Different sentences of one to three words."""
    rng, entries = np.random.default_rng(seed), dict[str, None]()
    while len(entries) < count:
        entries[" ".join(rng.choice(WORDS, rng.integers(1, 4)).tolist())] = None
    return list(entries)


def clips(folder: Path, texts: Sequence[str], names: tuple[str, str] = ("file", "text")) -> Path:
    """A folder of sounds with a manifest of what is said in them."""
    folder.mkdir(parents=True)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*names, "split"))
        for number, text in enumerate(texts):
            soundfile.write(folder / f"{number:03}.wav", said(text, number), RATE)
            remaining = len(texts) - number
            split = "test" if remaining <= 6 else "validation" if remaining <= 12 else "train"
            writer.writerow((f"{number:03}.wav", text, split))
    return folder


def _scaled(network: Any) -> Any:
    """So that answers differ."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1 and "positions" not in name:
                parameter.mul_(3)
    return network


def whisper(folder: Path, languages: Sequence[str] = ("en", "ru"), seconds: int = 2) -> Path:
    """A folder as transformers saves Whisper; its windows are so short."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    learned = ByteLevelBPETokenizer()
    learned.train_from_iterator([" ".join(WORDS)] * 3, vocab_size=270, show_progress=False)
    content = json.loads(learned.to_str())["model"]
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{n}|>" for n in languages)]
    special += ["<|translate|>", "<|transcribe|>", "<|notimestamps|>"]
    vocabulary = dict(content["vocab"])
    for name in special:
        vocabulary[name] = len(vocabulary)
    merges = [
        tuple(own) if isinstance(own, list) else tuple(own.split()) for own in content["merges"]
    ]
    tokenizer: Any = WhisperTokenizer(vocab=vocabulary, merges=merges)
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    sides = {"layers": 2, "attention_heads": 2, "ffn_dim": 32}
    sizes: dict[str, Any] = {
        f"{s}_{n}": v for s in ("encoder", "decoder") for n, v in sides.items()
    }
    config = WhisperConfig(
        vocab_size=len(vocabulary),
        d_model=16,
        max_source_positions=50 * seconds,
        max_target_positions=24,
        num_mel_bins=20,
        decoder_start_token_id=vocabulary["<|startoftranscript|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        bos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary["<|endoftext|>"],
        suppress_tokens=None,
        begin_suppress_tokens=None,
        **sizes,
    )
    torch.manual_seed(0)
    network: Any = _scaled(WhisperForConditionalGeneration(config))
    own: dict[str, Any] = {"no_timestamps_token_id": vocabulary["<|notimestamps|>"]}
    if languages:
        own |= {"lang_to_id": {f"<|{n}|>": vocabulary[f"<|{n}|>"] for n in languages}}
        own |= {"task_to_id": {n: vocabulary[f"<|{n}|>"] for n in ("transcribe", "translate")}}
    settings: Any = GenerationConfig
    network.generation_config = settings(
        decoder_start_token_id=config.decoder_start_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        is_multilingual=bool(languages),
        suppress_tokens=[1, 2],
        begin_suppress_tokens=[config.eos_token_id],
        max_length=24,
        **own,
    )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    extractor: Any = WhisperFeatureExtractor
    extractor(feature_size=20, chunk_length=seconds).save_pretrained(folder)
    return folder


def letters(folder: Path, kind: str = "wav2vec2", head: bool = True, stable: bool = False) -> Path:
    """A folder as transformers saves wav2vec 2.0, HuBERT or WavLM, with a layer of letters."""
    import transformers
    from transformers import AutoConfig, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor

    folder.mkdir(parents=True)
    ids = {n: place for place, n in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"ABC"])}
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(ids),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8, 8),
        conv_kernel=(10, 8, 4),
        conv_stride=(5, 8, 4),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer" if stable else "group",
        do_stable_layer_norm=stable,
        pad_token_id=0,
        layerdrop=0.0,
    )
    auto: Any = transformers.AutoModelForCTC if head else transformers.AutoModel
    torch.manual_seed(0)
    _scaled(auto.from_config(config)).save_pretrained(folder)
    extractor: Any = Wav2Vec2FeatureExtractor
    extractor(return_attention_mask=True).save_pretrained(folder)
    if head:
        (folder / "v.json").write_text(json.dumps(ids))
        tokenizer: Any = Wav2Vec2CTCTokenizer
        tokenizer(str(folder / "v.json")).save_pretrained(folder)
        (folder / "v.json").unlink()
    return folder


def speech_to_text(folder: Path) -> Path:
    """A folder as transformers saves Speech2Text."""
    import io

    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
    from transformers import (
        Speech2TextConfig,
        Speech2TextFeatureExtractor,
        Speech2TextForConditionalGeneration,
        Speech2TextTokenizer,
    )

    folder.mkdir(parents=True)
    written = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(60)),
        model_writer=written,
        vocab_size=20,
        hard_vocab_limit=False,
        bos_id=0,
        pad_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=3,
    )
    (folder / "s.model").write_bytes(written.getvalue())
    own = SentencePieceProcessor(model_proto=written.getvalue())
    ids = {own.id_to_piece(n): n for n in range(own.get_piece_size())}
    (folder / "v.json").write_text(json.dumps(ids))
    tokenizer: Any = Speech2TextTokenizer
    tokenizer(str(folder / "v.json"), str(folder / "s.model")).save_pretrained(folder)
    for name in ("v.json", "s.model"):
        (folder / name).unlink()
    sides = {"layers": 2, "attention_heads": 2, "ffn_dim": 32}
    sizes: dict[str, Any] = {
        f"{s}_{n}": v for s in ("encoder", "decoder") for n, v in sides.items()
    }
    config = Speech2TextConfig(
        vocab_size=len(ids),
        d_model=16,
        input_feat_per_channel=20,
        conv_channels=16,
        max_source_positions=400,
        max_target_positions=24,
        decoder_start_token_id=2,
        **sizes,
    )
    torch.manual_seed(0)
    _scaled(Speech2TextForConditionalGeneration(config)).save_pretrained(folder)
    extractor: Any = Speech2TextFeatureExtractor
    extractor(feature_size=20, num_mel_bins=20).save_pretrained(folder)
    return folder
