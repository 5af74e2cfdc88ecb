"""fastai's `vision_learner` and `fine_tune` with its defaults, for the epochs that find time."""

from __future__ import annotations

import time

from timed import BATCH, arguments, epochs, items, write

THAWED = 2.0  # times what an epoch of the head alone takes, for one of the whole network
MOST = 20


def main() -> None:
    """Time an epoch of the head, fine-tune, predict."""
    args = arguments(__doc__)
    from fastai.vision import all as fv
    from timm_model import RECIPES, state

    fv.set_seed(args.seed, reproducible=True)
    recipe = RECIPES["mobilenetv2_100"]
    photos = fv.ImageDataLoaders.from_folder(
        args.data,
        train="train",
        valid="validation",
        bs=BATCH,
        num_workers=0,
        item_tfms=fv.Resize(args.size * 8 // 7),
        batch_tfms=[
            *fv.aug_transforms(size=args.size, min_scale=0.75),
            fv.Normalize.from_stats(recipe.mean, recipe.std),
        ],
    )
    learn = fv.vision_learner(
        photos, "mobilenetv2_100", pretrained=False, metrics=fv.accuracy, **recipe.options
    )
    learn.model[0].model.load_state_dict(state(args.weights), strict=False)
    learn.freeze()
    files, _ = items(args, ("test",))
    with learn.no_bar(), learn.no_logging():
        began = time.time()
        learn.fit_one_cycle(1, 2e-3)
        seconds = time.time() - began
        rest = 1.5 * seconds * len(files) / len(photos.train_ds)
        count = epochs(args, THAWED * seconds, rest + seconds, MOST)
        learn.fine_tune(count)
        outputs, _ = learn.get_preds(dl=photos.test_dl(files))
    names = [photos.vocab[n] for n in outputs.argmax(1)]
    write(args, "fastai", names, epochs=count)


if __name__ == "__main__":
    main()
