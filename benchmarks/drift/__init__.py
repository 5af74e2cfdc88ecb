"""What a model says of inputs it does not know, and of streams that move, on real features."""
