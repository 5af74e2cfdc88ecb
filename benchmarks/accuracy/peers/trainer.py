"""Hugging Face's Trainer on the whole network, after its guides, for the epochs that find time."""

from __future__ import annotations

import time
from typing import Any

from timed import BATCH, LEARNED, arguments, epochs, items, left, opened, view, write

RATES = {"image": 3e-4, "text": 5e-5}
MOST = 10


def main() -> None:
    """Time some steps, train, predict."""
    args = arguments(__doc__)
    import torch
    from transformers import Trainer, set_seed

    set_seed(args.seed)
    (train, labels), (test, _) = items(args, LEARNED), items(args, ("test",))
    names = sorted(set(labels))
    model, learned, collate = _texts(args, names) if args.encoder else _pictures(args, names)
    numbers = [names.index(label) for label in labels]
    rows = list(zip(train, numbers, strict=True))
    seconds = _timed(model, learned(rows[:BATCH])) * max(1.0, len(rows) / BATCH)
    rest = seconds * len(test) / len(rows) / 2
    count = epochs(args, seconds, rest, MOST)

    trainer = Trainer(
        model=model,
        args=_settings(args, count),
        train_dataset=rows,
        data_collator=learned,
        callbacks=[_ending(args, 1.2 * rest + 5)],
    )
    trainer.train()
    model.eval()
    answers: list[str] = []
    with torch.inference_mode():
        for start in range(0, len(test), BATCH):
            batch = collate([(content, 0) for content in test[start : start + BATCH]])
            batch.pop("labels")
            answers += [names[n] for n in model(**batch).logits.argmax(1)]
    write(args, "hf", answers, epochs=count)


def _settings(args: Any, count: int) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(args.out.with_suffix(".trainer")),
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        num_train_epochs=count,
        learning_rate=RATES["text" if args.encoder else "image"],
        warmup_steps=0.1,
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=args.seed,
    )


def _ending(args: Any, least: float) -> Any:
    """What begins no step that would leave fewer seconds than it takes to predict."""
    from transformers import TrainerCallback

    class Ending(TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop |= left(args) < least

    return Ending()


def _timed(model: Any, batch: Any) -> float:
    """Seconds of a training step, the second of two."""
    for _ in range(2):
        began = time.time()
        model.train()
        model(**batch).loss.backward()
        model.zero_grad()
    return time.time() - began


def _pictures(args: Any, names: list[str]) -> Any:
    import torch
    from timm_model import RECIPES, state
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    config = TimmWrapperConfig(
        architecture="mobilenetv2_100",
        model_args=RECIPES["mobilenetv2_100"].options,
        num_labels=len(names),
    )
    model = TimmWrapperForImageClassification(config)
    new = {f"timm_model.{name}": tensor for name, tensor in state(args.weights).items()}
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in new.items() if own[k].shape == v.shape}, strict=False)

    def collate(augmented: bool) -> Any:
        transform = view(args.size, augmented)

        def together(rows: list[Any]) -> dict[str, Any]:
            pixels = torch.stack([transform(opened(path)) for path, _ in rows])
            return {"pixel_values": pixels, "labels": torch.tensor([n for _, n in rows])}

        return together

    return model, collate(True), collate(False)


def _texts(args: Any, names: list[str]) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(args.encoder)
    model = AutoModelForSequenceClassification.from_pretrained(args.encoder, num_labels=len(names))

    def together(rows: list[Any]) -> dict[str, Any]:
        texts = [text for text, _ in rows]
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        return {**tokens, "labels": torch.tensor([n for _, n in rows])}

    return model, together, together


if __name__ == "__main__":
    main()
