"""The frozen prefix, run once: plan what may be stored, extract it, store it, feed it to training."""
