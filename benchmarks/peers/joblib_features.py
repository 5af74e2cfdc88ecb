"""Features of a folder of pictures by timm in processes of joblib."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

BATCH = 32


def features(paths: list[Path], name: str) -> np.ndarray:
    """Pooled features (N, D) of some pictures, on one thread."""
    import timm
    import torch
    from PIL import Image
    from timm.data import create_transform, resolve_data_config

    torch.set_num_threads(1)
    network = _networks.get(name)
    if network is None:
        network = _networks[name] = timm.create_model(name, num_classes=0).eval()
    transform = create_transform(**resolve_data_config({}, model=network))
    inputs = torch.stack([transform(Image.open(path).convert("RGB")) for path in paths])
    with torch.inference_mode():
        return np.asarray(network(inputs).numpy())


_networks: dict[str, object] = {}


if __name__ == "__main__":
    from joblib import Parallel, delayed

    folder, backbone, processes = sys.argv[1:]
    files = sorted(Path(folder).rglob("*.jpg"))
    batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    name = backbone.removeprefix("timm:").partition("?")[0]
    rows = Parallel(n_jobs=int(processes))(delayed(features)(batch, name) for batch in batches)
    print(np.concatenate(rows).shape)
