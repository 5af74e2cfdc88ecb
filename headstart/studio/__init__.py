"""A local page that answers while one gives it examples; imports what a run is made of."""
