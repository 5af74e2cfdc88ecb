"""fastai's vision_learner over the timm network, frozen or freed by its parameter groups.

The head is fastai's own. `train_bn=False` with BnFreeze keeps frozen BatchNorm still, which the
other peers do as well and which spares fastai a backward pass through the frozen network.
"""

from __future__ import annotations

from typing import Any

from contract import BATCH, RATES, Clock, arguments, write


def main() -> None:
    """Train, test, and write what it took."""
    args = arguments(__doc__, ("frozen", "last-stage", "full"))
    from fastai.vision import all as fv
    from timm_model import RECIPES

    clock = Clock()
    fv.set_seed(0)
    photos = _photos(args)
    learn, skips_validation = _learner(args, photos, RECIPES[args.backbone])
    with learn.no_logging():
        clock.train(lambda: learn.fit_one_cycle(args.epochs, RATES[args.work]))
        learn.remove_cb(skips_validation)
        outputs, targets = learn.get_preds(dl=photos.valid)
    accuracy = float((outputs.argmax(1) == targets).float().mean())
    write(args, "fastai", clock, accuracy, len(photos.train) * BATCH * args.epochs)


def _learner(args: Any, photos: Any, recipe: Any) -> tuple[Any, Any]:
    """The learner, and its callback that leaves out validation after each epoch."""
    from fastai.vision import all as fv
    from timm_model import state
    from torch import nn

    class OnceAtTheEnd(fv.Callback):
        """No validation after each epoch: no other peer does it."""

        def before_validate(self) -> None:
            raise fv.CancelValidException

    def groups(model: nn.Sequential) -> list[list[nn.Parameter]]:
        body = model[0].model
        last = [p for name in recipe.last_stage for p in body.get_submodule(name).parameters()]
        last_ids = {id(p) for p in last}
        return [[p for p in body.parameters() if id(p) not in last_ids], last, fv.params(model[1])]

    skips_validation = OnceAtTheEnd()
    learn = fv.vision_learner(
        photos,
        args.backbone,
        pretrained=False,
        splitter=groups,
        train_bn=False,
        cbs=[fv.BnFreeze(), skips_validation],
        **recipe.options,
    )
    learn.model[0].model.load_state_dict(state(args.weights), strict=False)
    learn.freeze_to({"frozen": -1, "last-stage": -2, "full": 0}[args.work])
    learn.remove_cb(fv.ProgressCallback)
    return learn, skips_validation


def _photos(args: Any) -> Any:
    """The photos as fastai reads them, whole or in random views."""
    from fastai.vision import all as fv
    from PIL.Image import Resampling
    from timm_model import RECIPES, SIZE, WORKERS

    recipe = RECIPES[args.backbone]
    bicubic = (Resampling.BICUBIC, Resampling.NEAREST)
    whole = [fv.Resize(recipe.side, resamples=bicubic), fv.CropPad(SIZE)]
    random = [fv.RandomResizedCrop(SIZE, min_scale=0.5, resamples=bicubic), fv.FlipItem()]
    return fv.ImageDataLoaders.from_folder(
        args.data,
        train="train",
        valid="test",
        bs=BATCH,
        num_workers=WORKERS,
        item_tfms=random if args.work == "full" else whole,
        batch_tfms=fv.Normalize.from_stats(recipe.mean, recipe.std),
    )


if __name__ == "__main__":
    main()
