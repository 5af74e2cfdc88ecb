"""One script a peer; each runs alone, in the peers' environment."""
