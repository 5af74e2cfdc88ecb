"""scikit-learn's LogisticRegression over the features of the timm network, run once in fp32.

`extraction` stops after the features of every split.
"""

from __future__ import annotations

from typing import Any

from contract import Clock, arguments, write


def main() -> None:
    """Extract, fit, test, and write what it took."""
    args = arguments(__doc__, ("frozen", "extraction"))
    import numpy as np
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from timm_model import loader, network, photos

    clock = Clock()
    model = network(args.backbone, args.weights, 0).eval().to(memory_format=torch.channels_last)

    def features(split: str) -> tuple[Any, Any]:
        rows, targets = [], []
        with torch.inference_mode():
            batches = loader(photos(args.data / split, args.backbone, args.work), shuffle=False)
            for images, labels in batches:
                rows.append(model(images.to(memory_format=torch.channels_last)).numpy())
                targets.append(labels.numpy())
        return np.concatenate(rows), np.concatenate(targets)

    splits = ("train", "val", "test") if args.work == "extraction" else ("train", "test")
    ready = clock.train(lambda: {split: features(split) for split in splits})
    images, accuracy = sum(len(labels) for _, labels in ready.values()), None
    if args.work == "frozen":
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        clock.train(lambda: probe.fit(*ready["train"]))
        accuracy = float(probe.score(*ready["test"]))
    args.epochs = 1
    write(args, "sklearn", clock, accuracy, images)


if __name__ == "__main__":
    main()
