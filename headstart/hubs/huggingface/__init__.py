"""Encoders of texts, pictures and sounds, and detectors, saved by transformers and its kin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.loading.refusals import demand_package


@final
class HuggingFace(Hub):
    """Encoders by a folder, or by their name on the Hugging Face Hub (Wolf et al. 2020).

    `@revision` names a branch, tag or commit on the Hub, `@file` local weights, whose head comes
    with them; `pretrained=false` gives random weights that follow torch's global random state.
    `pooling=own` makes features by what stands before the final layer in transformers' own
    classifier, `mean` of all tokens and `cls` of the first. Without it, a model of
    sentence-transformers pools and normalises as it always does, and any other by its own way
    where the checkpoint holds trained weights for it, and else by the mean. `max_length` cuts texts
    at so many tokens: 512, or what the model says, unless given.

    Of pictures `pooling` is `own`, `pooler`, `cls` or `mean`, and `size`, `crop`, `crop_mode`,
    `interpolation`, `mean` and `std` change what the image processor says. Of sounds `window`,
    `hop` and `fill` are seconds: what is heard at a time, how far apart, and of shorter ones.
    `speech=true` is the same network as it writes down what is said, with its `vocabulary`,
    `language` and `task`. `base` is the folder of the model that an adapter is for; a translator's
    `vocabulary` is `joint` with the texts that it is fitted to, or its `own`. Code in a model's
    repository is never run, nor is a pickle.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """What is in the Hub's cache on this machine, and in folders beside us."""
        from headstart.hubs.huggingface import listing

        return listing.cards(pattern)

    def cards_depend_on(self) -> Sequence[str]:
        """Files in the Hub's cache, wherever it is, and in folders beside us."""
        from headstart.hubs.huggingface import listing

        return listing.looked_at()

    def sources(self, reference: Reference) -> Sequence[str]:
        """The folders of the model, of its base and adapter, and the file after @."""
        from headstart.hubs.huggingface.layout import lay_out

        own = lay_out(reference)
        places = (own.root, own.encoder, own.reader, own.adapter, own.file)
        return [*dict.fromkeys(str(place) for place in places if place is not None)]

    def load(self, reference: Reference) -> Backbone:
        """Find or fetch the files, build the network, fill it and cut it into stages.

        Raises HeadstartError for an option, a folder or a kind of model that can't be used,
        WeightsError for weights that are missing, unsafe or belong to another network.
        """
        demand_package("transformers", reference, "text")
        from headstart.hubs.huggingface import building, sequences, sounds, speech, static
        from headstart.hubs.huggingface.detectors import building as detectors
        from headstart.hubs.huggingface.detectors.families import FAMILIES as DETECTORS
        from headstart.hubs.huggingface.families import SOUNDS, family
        from headstart.hubs.huggingface.layout import lay_out
        from headstart.hubs.huggingface.pictures import building as pictures
        from headstart.hubs.huggingface.pictures import planning
        from headstart.hubs.huggingface.pictures.families import FAMILIES, WHOLE
        from headstart.hubs.huggingface.planning import settle

        layout = lay_out(reference)
        if speech.is_meant(layout):
            return speech.backbone(layout)
        if layout.kind in SOUNDS:
            return sounds.backbone(layout)
        if layout.kind in sequences.KINDS:
            return sequences.backbone(layout)
        if layout.kind in DETECTORS:
            return detectors.backbone(layout)
        if layout.kind in (*FAMILIES, *WHOLE):
            return pictures.backbone(planning.settle(layout))
        spec = settle(layout)
        if spec.family is None and spec.sentences is not None:
            return static.backbone(spec, spec.sentences)
        return building.backbone(spec, spec.family or family(layout.raw, layout.what))
