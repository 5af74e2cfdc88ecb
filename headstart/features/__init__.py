"""The frozen prefix, run once: extracted, stored, and fed to training."""
