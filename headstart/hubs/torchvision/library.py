"""torchvision's models, imported without torch's compiler."""

from __future__ import annotations

from headstart.loading.lean import without_compiler

with without_compiler():
    from torchvision import models
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.vision_transformer import interpolate_embeddings

__all__ = ["ImageList", "interpolate_embeddings", "models"]
