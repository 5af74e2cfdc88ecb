"""A network for more pieces than before: rows of shared ones kept, others made of older pieces.

So that a model of one language pair is the start for another (Kocmi and Bojar 2018; the rows of new
pieces as in Gheini and May 2019).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast, final

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.loading.sequences.bridging import shares, written
from headstart.loading.sequences.files import JOINT, OWN, TOKENIZER, PieceFiles
from headstart.loading.sequences.lexicon import Lexicon
from headstart.loading.sequences.network import ENCODER, configured
from headstart.loading.sequences.vocabulary import MARK
from headstart.loading.sequences.writer import Writer
from headstart.loading.weights import digest

_SEED: Final = 0
_TABLES: Final = ("model.decoder.embed_tokens", "lm_head")


@final
@dataclass(frozen=True)
class Rows:
    """For each new piece the older ones that its row is a mean of, with their shares of it.

    None where it is drawn.
    """

    parts: Sequence[Mapping[int, float]]

    @classmethod
    def of(cls, old: bytes, count: int, ids: Mapping[str, int], unknown: int) -> Rows:
        """Of a tokenizer.json with so many pieces, for those that `ids` has beyond."""
        tokenizer = Tokenizer.from_str(old.decode())
        listed = sorted(ids, key=lambda name: ids[name])[count:]
        rows = []
        for name in listed:
            text = name.replace(MARK, "").replace("▁", " ").strip()
            own = tokenizer.encode(text, add_special_tokens=False).ids if text else []
            space = tokenizer.token_to_id("▁")
            pieces = [number for number in own if number not in (unknown, space)]
            rows.append({number: pieces.count(number) / len(pieces) for number in pieces})
        return cls(rows)

    def beside(self, others: Mapping[int, Mapping[int, float]], count: int) -> Rows:
        """The mean of these and of what pieces stand for elsewhere, by number from `count` on."""
        rows = []
        for number, own in enumerate(self.parts, count):
            both = [each for each in (own, others.get(number, {})) if each]
            names = {name for each in both for name in each}
            rows.append({n: sum(each.get(n, 0.0) for each in both) / len(both) for n in names})
        return Rows(rows)

    def added_to(self, table: Tensor) -> Tensor:
        """The table (V, D) with the new rows behind its own."""
        new = torch.randn(len(self.parts), table.shape[1], dtype=table.dtype) * table.std()
        for place, parts in enumerate(self.parts):
            if parts:
                weights = torch.tensor([*parts.values()], dtype=table.dtype)
                new[place] = weights @ table[torch.tensor([*parts])]
        return torch.cat([table, new])


@final
@dataclass(frozen=True)
class Growth:
    """The vocabulary before and after it learned from pairs of texts.

    `meanings` are of pieces that are written the older ones that they stand for.
    """

    before: PieceFiles
    after: PieceFiles
    sources: Sequence[str]
    targets: Sequence[str]
    meanings: Mapping[int, Mapping[int, float]] = field(default_factory=dict)

    def bridged(self, backbone: Backbone) -> dict[int, dict[int, float]]:
        """What pieces of the right answers stand for in those of a trained network."""
        writer = cast(Writer, backbone.head)
        sources = self.before.files()[TOKENIZER]
        old = written(backbone.unpooled(), writer, sources, self.sources)
        own = self.after.vocabulary(writer.network.config)
        new = [own.pieces(text) for text in self.targets[: len(old)]]
        return shares(new, old, self.after.count)

    def lexicon(self, writer: Writer) -> Lexicon:
        """The pairs in the pieces of afterwards, which are what is written in."""
        reads = Tokenizer.from_str(self.after.files()[TOKENIZER].decode())
        rows = [each.ids for each in reads.encode_batch([*self.sources])]
        return Lexicon(rows, [writer.vocabulary.pieces(text) for text in self.targets])


def grown(backbone: Backbone, sources: Sequence[str], targets: Sequence[str]) -> Backbone:
    """The backbone with a vocabulary that has learned from texts of both sides.

    Where it was never trained all rows are drawn, and begin with what the pairs say of them.
    `for_task` does the same to another such network. What became of the pieces is among its notes.
    """
    before = PieceFiles.read(backbone.files, backbone.origin.reference)
    growth = Growth(before, before.grown(sources, targets), sources, targets)
    if backbone.origin.pretrained and growth.after.count > before.count:
        growth = replace(growth, meanings=growth.bridged(backbone))
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(_SEED)
        return _with(backbone, growth)


def _with(backbone: Backbone, growth: Growth) -> Backbone:
    after = growth.after
    native = {**backbone.native, "vocab_size": len(after.ids)}
    native |= {"decoder_vocab_size": len(after.ids)} if "decoder_vocab_size" in native else {}
    config = configured(native, len(after.ids), backbone.origin.reference)
    stages, writer = copy.deepcopy((backbone.unpooled(), cast(Writer, backbone.head)))
    trained = backbone.origin.pretrained
    counts = _filled(stages, writer, growth, trained)
    writer.vocabulary = after.vocabulary(config)
    if not trained:
        growth.lexicon(writer).start(stages, writer)
    writer.network.config.vocab_size = len(after.ids)
    writer.network.config.decoder_vocab_size = len(after.ids)
    tensors = {n: t for stage in stages.values() for n, t in stage.state_dict().items()}
    return replace(
        backbone,
        stages=stages,
        head=writer,
        preprocess={**after.preprocess(config, JOINT)},
        files={**backbone.files, **after.files()},
        native=native,
        origin=replace(backbone.origin, weights_hash=digest(tensors)),
        notes=(*backbone.notes, counts),
        for_task=lambda other: _with(other, growth),
    )


def _filled(stages: Mapping[str, nn.Module], writer: Writer, growth: Growth, trained: bool) -> str:
    """Lengthen the tables of both sides; answer what was shared, averaged and new."""
    before, after = growth.before, growth.after
    old, unknown = before.files(), before.preprocess(writer.network.config, OWN)["unknown"]
    count = len(before.ids)
    none: Rows = Rows([{}] * (len(after.ids) - count))
    sides = [none, none]
    if trained:
        tokenizers = old["tokenizer.json"], writer.vocabulary.tokenizer.to_str().encode()
        sides = [Rows.of(each, count, after.ids, unknown) for each in tokenizers]
        sides[1] = sides[1].beside(growth.meanings, count)
    table = stages["embeddings"].get_submodule(f"{ENCODER}.embed_tokens")
    _lengthen(table, sides[0])
    _lengthen(writer.get_submodule(_TABLES[0]), sides[1])
    decoder, output = (cast(Any, writer.get_submodule(name)) for name in _TABLES)
    if writer.network.config.tie_word_embeddings:
        output.weight = decoder.weight
        output.out_features = len(after.ids)
    else:
        _lengthen(output, sides[1])
    if "final_logits_bias" in writer._buffers:
        bias = cast(Tensor, writer._buffers["final_logits_bias"])
        added = bias.new_zeros(1, len(after.ids) - bias.shape[1])
        writer.register_buffer("final_logits_bias", torch.cat([bias, added], 1))
    averaged = sum(bool(parts) for parts in sides[1].parts)
    random = len(after.ids) - count - averaged
    return (
        f"The vocabulary has {len(after.ids):,} pieces: {count:,} shared with the one before, "
        f"{averaged:,} averaged from its pieces, {random:,} new."
    )


def _lengthen(module: nn.Module, rows: Rows) -> None:
    table = cast(Any, module)
    table.weight = nn.Parameter(rows.added_to(table.weight.detach()))
    if isinstance(module, nn.Embedding):
        module.num_embeddings = len(table.weight)
    else:
        table.out_features = len(table.weight)
