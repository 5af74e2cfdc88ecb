"""Side by side with peers: the same photos, split, weights and epochs, in one run."""
