"""The hub of text encoders: poolings, checkpoints of all ages, heads, tokenizers, bad input."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from encoders import encoder, features, save_encoder, save_tokenizer, small_encoder, texts
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, WeightsError
from headstart.loading import refusals

POOLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # of one text's tokens, none of padding
    "cls": lambda hidden, _: hidden[0],
    "max": lambda hidden, _: hidden.amax(0),
    "mean": lambda hidden, _: hidden.mean(0),
    "mean_sqrt_len_tokens": lambda hidden, count: hidden.sum(0) / count.sqrt(),
}


def edit(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file, or drop those that are None."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: v for name, v in content.items() if v is not None}))


def sentence_encoder(folder: Path, ways: list[str], *more: str, legacy: bool = True) -> Path:
    """A tiny encoder as sentence-transformers saves it, `more` naming modules after the pooling."""
    small_encoder(folder)
    kinds = ["Transformer", "Pooling", *more]
    places = ["", *(f"{number}_{kind}" for number, kind in enumerate(kinds) if number)]
    modules = [
        {"idx": n, "name": str(n), "path": place, "type": f"sentence_transformers.models.{kind}"}
        for n, (kind, place) in enumerate(zip(kinds, places, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    flags = {f"pooling_mode_{way}" + ("" if "_" in way else "_tokens"): True for way in ways}
    flags = {name.replace("cls_tokens", "cls_token"): True for name in flags}
    pooling = flags if legacy else {"pooling_mode": ways[0] if len(ways) == 1 else ways}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20}))
    return folder


# --- pooling ---


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("ways", [["cls"], ["max"], ["mean_sqrt_len_tokens"], ["max", "mean"]])
def test_sentence_encoders_keep_their_pooling(
    ways: list[str], legacy: bool, tmp_path: Path
) -> None:
    folder = sentence_encoder(tmp_path, ways, "Normalize", legacy=legacy)
    backbone = catalog.load_backbone(f"hf:{folder}")
    batch = texts()
    with torch.no_grad():
        hidden = encoder("bert")(batch["input_ids"], batch["mask"]).last_hidden_state
    rows = features(backbone, batch)
    for row, states, mask in zip(rows, hidden, batch["mask"], strict=True):
        count = mask.sum()
        expected = torch.cat([POOLS[way](states[:count], count.float()) for way in ways])
        assert torch.allclose(row, expected / expected.norm(), atol=1e-5)
    assert backbone.feature_dim == 32 * len(ways)
    assert backbone.preprocess["max_length"] == 20
    files = {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json"}
    assert files <= set(backbone.files)
    assert all(backbone.files[name] == (folder / name).read_bytes() for name in files)


def test_asking_for_a_pooling_overrules_the_folders(tmp_path: Path) -> None:
    folder = sentence_encoder(tmp_path, ["max"], "Normalize")
    plain = catalog.load_backbone(f"hf:{folder}?pooling=mean")
    rows = features(plain, texts())
    assert not torch.allclose(rows.norm(dim=1), torch.ones(3), atol=1e-2)
    pooling = json.loads(plain.files["1_Pooling/config.json"])
    assert [name for name, on in pooling.items() if on is True] == ["pooling_mode_mean_tokens"]
    assert b"Normalize" not in plain.files["modules.json"]
    own = catalog.load_backbone(f"hf:{folder}?pooling=own")
    assert "modules.json" not in own.files
    assert own.library == "transformers"
    assert own.preprocess["max_length"] == 20


@pytest.mark.parametrize(
    ("kind", "classifier", "own"),
    [
        ("bert", False, True),  # its pooler is saved with the encoder
        ("bert", True, True),
        ("distilbert", False, False),
        ("distilbert", True, True),
        ("roberta", False, False),  # its encoder's pooler is not the one that it classifies with
        ("modernbert", True, True),
        ("deberta-v2", False, False),
    ],
)
def test_own_pooling_is_the_default_where_it_was_trained(
    kind: str, classifier: bool, own: bool, tmp_path: Path
) -> None:
    folder = small_encoder(tmp_path, kind, classifier)
    backbone = catalog.load_backbone(f"hf:{folder}")
    assert backbone.architecture.options["pooling"] == ("own" if own else "mean")
    network = catalog.load_backbone(f"hf:{folder}?pooling={'own' if own else 'mean'}")
    assert network.origin.weights_hash == backbone.origin.weights_hash
    batch = texts(backbone.preprocess["pad"])
    assert torch.equal(features(network, batch), features(backbone, batch))


def test_own_pooling_that_was_never_trained_begins_at_random(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path, "distilbert")
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        backbone = catalog.load_backbone(f"hf:{folder}?pooling=own")
        state = backbone.pool.state_dict()
        results.append(state["pre_classifier.weight"])
        assert state["pre_classifier.weight"].std() > 0
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    torch.testing.assert_close(
        backbone.stages["embeddings"].state_dict()["distilbert.embeddings.word_embeddings.weight"],
        encoder("distilbert").embeddings.word_embeddings.weight.detach(),
    )


# --- checkpoints ---


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """Save the folder's weights again, changed."""
    path = folder / "model.safetensors"
    state = {name: tensor.clone() for name, tensor in change(load_file(path)).items()}
    save_file(state, path, {"format": "pt"})


def old(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As checkpoints of 2018 named tensors, with a language model's head and a table beside."""
    renamed = {
        f"bert.{name}".replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): t
        for name, t in state.items()
    }
    return renamed | {
        "cls.predictions.bias": torch.zeros(40),
        "bert.embeddings.position_ids": torch.arange(64)[None],
    }


@pytest.mark.parametrize(
    "change", [old, lambda state: {n: t.half().float() for n, t in state.items()}]
)
def test_checkpoints_of_all_ages_load(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], tmp_path: Path
) -> None:
    folder = small_encoder(tmp_path)
    expected = catalog.load_backbone(f"hf:{folder}")
    rewrite(folder, change)
    backbone = catalog.load_backbone(f"hf:{folder}")
    assert backbone.architecture == expected.architecture
    batch = texts()
    assert torch.allclose(features(backbone, batch), features(expected, batch), atol=1e-2)
    assert (backbone.origin.weights_hash == expected.origin.weights_hash) == (change is old)


def test_tensors_that_transformers_leaves_out_are_left_out(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path, "deberta-v2")
    expected = catalog.load_backbone(f"hf:{folder}").origin.weights_hash
    table = {"embeddings.position_embeddings.weight": torch.ones(64, 32)}
    rewrite(folder, lambda state: state | table)
    assert catalog.load_backbone(f"hf:{folder}").origin.weights_hash == expected
    rewrite(folder, lambda state: state | {"encoder.layer.2.scale": torch.ones(1)})
    with pytest.raises(WeightsError, match=r"left over: encoder\.layer\.2\.scale"):
        catalog.load_backbone(f"hf:{folder}")


def test_weights_in_half_precision_or_in_several_files_load(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path)
    expected = features(catalog.load_backbone(f"hf:{folder}"), texts())
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    places = {name: f"model-{1 + (name > names[9])}-of-2.safetensors" for name in names}
    for file in set(places.values()):
        save_file({n: state[n].bfloat16() for n in names if places[n] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    rows = features(catalog.load_backbone(f"hf:{folder}"), texts())
    assert rows.dtype == torch.float32
    assert torch.cosine_similarity(rows, expected).min() > 0.999
    (folder / places[names[-1]]).unlink()
    with pytest.raises(WeightsError, match=r"names model-2-of-2\.safetensors, which is missing"):
        catalog.load_backbone(f"hf:{folder}")


def test_a_bin_of_tensors_loads_and_one_of_code_is_refused(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path)
    expected = catalog.load_backbone(f"hf:{folder}").origin.weights_hash
    state = load_file(folder / "model.safetensors")
    torch.save(state, folder / "pytorch_model.bin")
    torch.save({"model": nn.Linear(1, 1)}, folder / "code.bin")
    (folder / "model.safetensors").unlink()
    assert catalog.load_backbone(f"hf:{folder}").origin.weights_hash == expected
    shutil.copy(folder / "code.bin", folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin wants to run code"):
        catalog.load_backbone(f"hf:{folder}")


def test_code_in_the_folder_is_never_run(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path)
    expected = catalog.load_backbone(f"hf:{folder}").origin.weights_hash
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: ...\n")
    where = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil", "AutoTokenizer": "evil.Evil"}
    edit(folder / "config.json", auto_map=where)
    assert catalog.load_backbone(f"hf:{folder}").origin.weights_hash == expected
    assert not (tmp_path / "ran").exists()
    assert "auto_map" not in catalog.load_backbone(f"hf:{folder}").native


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert"])
def test_a_classifiers_head_comes_with_it(kind: str, tmp_path: Path) -> None:
    network = encoder(kind, classifier=True, labels=5)
    folder = save_encoder(tmp_path, network)
    backbone = catalog.load_backbone(f"hf:{folder}")
    assert isinstance(backbone.head, nn.Linear)
    assert torch.equal(backbone.head.weight, network.get_submodule(backbone.head_name).weight)
    assert catalog.load_backbone(f"hf:{folder}?pooling=mean").head is None
    batch = texts(backbone.preprocess["pad"])
    with torch.no_grad():
        logits = network(batch["input_ids"], batch["mask"]).logits
        result = Model.of(backbone, backbone.head).eval()(batch)
    assert torch.allclose(result, logits, atol=1e-5)


def test_a_named_file_must_fit_but_for_its_head(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path)
    backbone = catalog.load_backbone(f"hf:{folder}?pooling=mean")
    state = Model.of(backbone, nn.Identity()).backbone_state()
    file = tmp_path / "mine.safetensors"
    save_file({**state, "head.weight": torch.ones(4, 32), "head.bias": torch.ones(4)}, file)
    network = catalog.load_backbone(f"hf:{folder}@{file}?pooling=mean&pretrained=false")
    assert isinstance(network.head, nn.Linear)
    assert network.head.out_features == 4
    assert network.origin.weights_hash == backbone.origin.weights_hash
    assert (network.origin.pretrained, network.origin.reference.count("@")) == (True, 1)
    save_file({**state, "head.weight": torch.ones(4, 31)}, file)
    with pytest.raises(WeightsError, match="holds a head for 31 features"):
        catalog.load_backbone(f"hf:{folder}@{file}?pooling=mean")
    save_file({**state, "cls.bias": torch.ones(4)}, file)
    with pytest.raises(
        WeightsError, match=r"mine\.safetensors does not fit .*left over: cls\.bias"
    ):
        catalog.load_backbone(f"hf:{folder}@{file}?pooling=mean")


# --- tokenizers and lengths ---


def test_the_tokenizer_is_kept_without_padding_and_truncation(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path)
    backbone = catalog.load_backbone(f"hf:{folder}")
    tokenizer = backbone.files["tokenizer.json"]
    settings = json.loads(tokenizer)
    assert (settings["padding"], settings["truncation"]) == (None, None)
    assert settings["model"] == json.loads((folder / "tokenizer.json").read_text())["model"]
    assert backbone.preprocess == {
        "tokenizer": hashlib.sha256(tokenizer).hexdigest(),
        "max_length": 60,  # the tokenizer's own
        "pad": 0,
        "unknown": 1,
        "types": True,
    }
    (folder / "tokenizer.json").write_bytes(tokenizer)
    assert catalog.load_backbone(f"hf:{folder}").files["tokenizer.json"] == tokenizer


def test_an_older_tokenizer_is_made_into_one(tmp_path: Path) -> None:
    folder = save_encoder(tmp_path, encoder("bert"), tokens=False)
    with pytest.raises(HeadstartError, match=r"has no tokenizer\.json, nor a vocabulary"):
        catalog.load_backbone(f"hf:{folder}")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "##ness"]
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: ...\n")
    settings = {
        "tokenizer_class": "BertTokenizer",
        "auto_map": {"AutoTokenizer": ["evil.Evil"] * 2},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    backbone = catalog.load_backbone(f"hf:{folder}")
    assert json.loads(backbone.files["tokenizer.json"])["model"]["vocab"]["##ness"] == 6
    assert backbone.files["vocab.txt"] == (folder / "vocab.txt").read_bytes()
    assert backbone.preprocess["max_length"] == 64
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("kind", "tokenizer", "length"),
    [
        ("bert", 10**30, 64),
        ("bert", 50, 50),
        ("roberta", None, 62),  # the first two positions are padding's
        ("mpnet", None, 62),
        ("distilbert", None, 64),
    ],
)
def test_the_longest_text_is_what_model_and_tokenizer_allow(
    kind: str, tokenizer: int | None, length: int, tmp_path: Path
) -> None:
    folder = small_encoder(tmp_path, kind)
    edit(folder / "tokenizer_config.json", model_max_length=tokenizer)
    backbone = catalog.load_backbone(f"hf:{folder}")
    assert backbone.preprocess["max_length"] == length
    features(backbone, texts(backbone.preprocess["pad"], 2, length))
    network = catalog.load_backbone(f"hf:{folder}?max_length=5")
    assert network.preprocess["max_length"] == 5
    assert catalog.load_backbone(network.architecture).preprocess == network.preprocess


def test_long_models_stop_at_512_unless_asked(tmp_path: Path) -> None:
    folder = save_encoder(tmp_path, encoder("modernbert", max_position_embeddings=4000))
    edit(folder / "tokenizer_config.json", model_max_length=None)
    assert catalog.load_backbone(f"hf:{folder}").preprocess["max_length"] == 512
    backbone = catalog.load_backbone(f"hf:{folder}?max_length=3000")
    assert backbone.preprocess["max_length"] == 3000


def test_special_tokens_are_found_wherever_they_are_written(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path)
    save_tokenizer(folder, pad=1)
    (folder / "tokenizer_config.json").unlink()
    special = {"pad_token": {"content": "[PAD]", "lstrip": False}, "unk_token": "[UNK]"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    fed = catalog.load_backbone(f"hf:{folder}").preprocess
    assert (fed["pad"], fed["unknown"]) == (1, 0)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    pairs = [["<pad>", 0.0], ["<unk>", -1.0], ["w", -2.0]]
    tokenizer["model"] = {"type": "Unigram", "unk_id": 1, "vocab": pairs}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer | {"added_tokens": []}))
    (folder / "special_tokens_map.json").write_text('{"pad_token": "<pad>"}')
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}  # not BERT's own, of whole words
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    fed = catalog.load_backbone(f"hf:{folder}").preprocess
    assert (fed["pad"], fed["unknown"]) == (0, 1)


# --- what it says ---


def test_the_card_names_licence_and_data(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path)
    assert catalog.load_backbone(f"hf:{folder}").origin.licence is None
    (folder / "README.md").write_text("---\nlicense: mit\ndatasets:\n- snli\n- xnli\n---\n# Hi\n")
    origin = catalog.load_backbone(f"hf:{folder}").origin
    assert (origin.licence, origin.trained_on) == ("mit", "snli, xnli")
    assert origin.reference == f"hf:{folder}"
    random = catalog.load_backbone(f"hf:{folder}?pretrained=false").origin
    assert (random.licence, random.trained_on) == (None, None)
    (folder / "README.md").write_text("---\n: {\n---\n")
    assert catalog.load_backbone(f"hf:{folder}").origin.licence is None


def test_cards_tell_what_folders_here_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small_encoder(tmp_path / "mine")
    (tmp_path / "mine" / "README.md").write_text("---\nlicense: mit\ndatasets: snli\n---\n")
    small_encoder(tmp_path / "artifact")
    (tmp_path / "artifact" / "headstart.json").write_text("{}")
    small_encoder(tmp_path / "bare")
    (tmp_path / "bare" / "model.safetensors").unlink()
    for name, content in (("gpt", '{"model_type": "gpt2"}'), ("broken", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(content)
    bare, mine = catalog.hub("hf").cards("*")
    assert (bare.reference, bare.at_hand, bare.parameters) == ("hf:bare", False, None)
    count = sum(parameter.numel() for parameter in encoder("bert").parameters())
    assert vars(mine) == {
        "reference": "hf:mine",
        "modality": "text",
        "parameters": count,
        "input": "64 tokens",
        "licence": "mit",
        "trained_on": "snli",
        "at_hand": True,
        "accuracy": None,
        "year": None,
        "path": "mine/model.safetensors",
    }


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("hf:./absent", "./absent is not a folder"),
        ("hf:{empty}", "empty has no config.json"),
        ("hf:a b", "is neither a folder nor a name on the Hub"),
        (
            "hf:{here}?wrong=1",
            "has no option 'wrong'. Its options: pooling, max_length, pretrained",
        ),
        ("hf:{here}?pooling=sum", "pooling='sum' is not known. Give one of own, mean, cls"),
        ("hf:{here}?max_length=65", "max_length=65 is not between 3 and 64"),
        ("hf:{here}?max_length=2", "max_length=2 is not between 3 and 64"),
        ("hf:{here}?max_length=long", "max_length='long' is not a number"),
        ("hf:{here}@absent.safetensors", "absent.safetensors is not a file"),
        ("hf:{here}@v1", "v1 is not a file"),
        ("hf:{here}@{other}", "does not fit the network: 2 differ in shape"),
    ],
)
def test_bad_references_are_one_sentence(reference: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    other = save_encoder(tmp_path / "other", encoder("bert", vocab_size=41, type_vocab_size=3))
    inputs = reference.format(
        empty=tmp_path / "empty",
        here=small_encoder(tmp_path / "here"),
        other=other / "model.safetensors",
    )
    with pytest.raises(HeadstartError) as caught:
        catalog.load_backbone(inputs)
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def spoil_config(**changes: Any) -> Callable[[Path], None]:
    """A change of config.json."""
    return lambda folder: edit(folder / "config.json", **changes)


def spoil(name: str, content: str) -> Callable[[Path], None]:
    """Other content of a file."""

    def write(folder: Path) -> None:
        (folder / name).write_text(content)

    return write


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (spoil_config(model_type="gpt2"), "is of the kind 'gpt2', not an encoder"),
        (spoil_config(model_type=None), "is of the kind None, not an encoder"),
        (spoil_config(is_decoder=True), "is a bert that writes text, not an encoder"),
        (
            spoil_config(model_type="pegasus", is_encoder_decoder=True),
            "is a pegasus that writes text, not an encoder",
        ),
        (spoil_config(num_attention_heads=5), "can't be built (The hidden size (32)"),
        (spoil_config(hidden_size="wide"), "config.json can't be used by this version"),
        (spoil("config.json", "{"), "config.json can't be read"),
        (spoil("config.json", "[]"), "config.json holds no JSON object"),
        (spoil("tokenizer.json", "{"), "tokenizer.json can't be read as a tokenizer"),
        (spoil("tokenizer.json", "[]"), "tokenizer.json can't be read as a tokenizer"),
        (spoil("model.safetensors", "no"), "is not a whole safetensors file"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors or"),
        (spoil("modules.json", "{"), "modules.json can't be read"),
        (spoil("modules.json", '[{"path": ""}]'), "modules.json can't be read"),
    ],
)
def test_bad_folders_are_one_sentence(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    folder = small_encoder(tmp_path / "model")
    damage(folder)
    with pytest.raises(HeadstartError) as caught:
        catalog.load_backbone(f"hf:{folder}")
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ways": ["sum"]}, "has a Pooling module that pools by 'sum', which is not known"),
        ({"more": "LSTM"}, "has the module LSTM, which can't be kept"),
        ({"more": "Dense"}, "has a Dense module with None to None features over 32"),
        ({"place": "../other"}, "points out of its folder to ../other"),
    ],
)
def test_sentence_encoders_that_cannot_be_kept(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    more = [change["more"]] if "more" in change else []
    ways = change.get("ways", ["mean"])
    folder = sentence_encoder(tmp_path, ways, *more, legacy="ways" not in change)
    if "place" in change:
        modules = json.loads((folder / "modules.json").read_text())
        modules[0]["path"] = change["place"]
        (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(HeadstartError) as caught:
        catalog.load_backbone(f"hf:{folder}")
    assert message in str(caught.value)
    assert catalog.load_backbone(f"hf:{folder}?pooling=mean").feature_dim == 32


def test_without_transformers_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_encoder(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(refusals, "find_spec", lambda name: None)
    assert [card.reference for card in catalog.hub("hf").cards("mine")] == ["hf:mine"]
    with pytest.raises(HeadstartError, match=r"needs the package transformers.*headstart\[text\]"):
        catalog.load_backbone(f"hf:{folder}")


def test_rotations_that_depend_on_the_batch_are_refused(tmp_path: Path) -> None:
    folder = save_encoder(tmp_path, encoder("modernbert"))
    rope = json.loads((folder / "config.json").read_text())["rope_parameters"]
    rope["full_attention"] |= {"rope_type": "dynamic", "factor": 2.0}
    edit(folder / "config.json", rope_parameters=rope)
    with pytest.raises(HeadstartError, match="depend on the longest text"):
        catalog.load_backbone(f"hf:{folder}")
