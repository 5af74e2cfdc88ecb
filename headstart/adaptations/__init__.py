"""Ways to answer on another domain than that of the labels, one file each."""
