"""Features of a folder of pictures by Ray Data, as its page on batch inference does it."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

BATCH = 32


class Features:
    """A network of timm, loaded once in each actor."""

    def __init__(self, name: str) -> None:
        import timm
        from timm.data import create_transform, resolve_data_config

        self.network = timm.create_model(name, num_classes=0).eval()
        self.transform = create_transform(**resolve_data_config({}, model=self.network))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Pooled features of a batch of decoded pictures."""
        import torch
        from PIL import Image

        inputs = torch.stack([self.transform(Image.fromarray(each)) for each in batch["image"]])
        with torch.inference_mode():
            return {"features": self.network(inputs).numpy()}


if __name__ == "__main__":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    folder, backbone, actors = sys.argv[1:]
    cores = max(
        os.cpu_count() or 1, int(actors) + 1
    )  # actors hold one each; one must be to read by
    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False)
    name = backbone.removeprefix("timm:").partition("?")[0]
    data = ray.data.read_images(folder, mode="RGB")
    done = data.map_batches(
        Features,
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(size=int(actors)),
        fn_constructor_args=(name,),
        num_cpus=1,
    )
    rows = np.stack([row["features"] for row in done.iter_rows()])
    print(rows.shape)
    ray.shutdown()
