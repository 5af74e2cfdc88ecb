"""Accuracy in so many minutes: the default `fit` beside other libraries, on the same test items."""
