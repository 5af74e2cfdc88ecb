"""timm itself, imported without torch's compiler."""

from __future__ import annotations

from headstart.loading.lean import without_compiler

with without_compiler():
    import timm

__all__ = ["timm"]
