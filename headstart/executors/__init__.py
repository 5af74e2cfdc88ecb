"""Where independent work runs, a file each: in this process, or on the workers of Ray."""
