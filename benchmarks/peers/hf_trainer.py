"""Hugging Face: datasets' imagefolder, the timm network in TimmWrapper, and Trainer.

After the image-classification guide of transformers: transforms on the fly, a collate function,
`remove_unused_columns=False`, workers for loading.
"""

from __future__ import annotations

import os
from typing import Any

from contract import BATCH, RATES, Clock, arguments, write


def main() -> None:
    """Train, test, and write what it took."""
    args = arguments(__doc__, ("frozen", "last-stage", "full"))
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets
    import torch
    from timm_model import RECIPES, WORKERS, state, trained, view
    from transformers import (
        TimmWrapperConfig,
        TimmWrapperForImageClassification,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    class PartlyForImageClassification(TimmWrapperForImageClassification):
        """Keeps frozen parts in evaluation mode; the class's name tells transformers the loss."""

        modules_trained: Any = ()

        def train(self, mode: bool = True) -> Any:
            super().train(False)
            for module in self.modules_trained if mode else ():
                module.train()
            return self

    clock = Clock()
    set_seed(0)
    datasets.disable_progress_bars()
    splits = {name: str(args.data / name / "**") for name in ("train", "test")}
    photos = datasets.load_dataset(
        "imagefolder", data_files=splits, drop_labels=False, cache_dir=str(args.out.parent / "hf")
    )
    recipe = RECIPES[args.backbone]
    config = TimmWrapperConfig(
        architecture=args.backbone,
        model_args=recipe.options,
        num_labels=photos["train"].features["label"].num_classes,
    )
    model = PartlyForImageClassification(config)
    new = {f"timm_model.{name}": tensor for name, tensor in state(args.weights).items()}
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in new.items() if own[k].shape == v.shape}, strict=False)
    model.modules_trained = trained(model.timm_model, args.backbone, args.work)

    def seen(augmented: bool) -> Any:
        transform = view(args.backbone, augmented)

        def apply(rows: dict[str, Any]) -> dict[str, Any]:
            pixels = [transform(image.convert("RGB")) for image in rows["image"]]
            return {"pixel_values": pixels, "labels": rows["label"]}

        return apply

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        pixels = torch.stack([row["pixel_values"] for row in rows])
        return {"pixel_values": pixels, "labels": torch.tensor([row["labels"] for row in rows])}

    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(args.out.with_suffix(".trainer")),
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
            num_train_epochs=args.epochs,
            learning_rate=RATES[args.work],
            dataloader_num_workers=WORKERS,
            dataloader_persistent_workers=True,
            remove_unused_columns=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            bf16=args.bf16,
        ),
        train_dataset=photos["train"].with_transform(seen(args.work == "full")),
        eval_dataset=photos["test"].with_transform(seen(False)),
        data_collator=collate,
        compute_metrics=lambda p: {"accuracy": float((p[0].argmax(1) == p[1]).mean())},
    )
    clock.train(trainer.train)
    accuracy = trainer.evaluate()["eval_accuracy"]
    write(args, "hf", clock, accuracy, len(photos["train"]) * args.epochs)


if __name__ == "__main__":
    main()
