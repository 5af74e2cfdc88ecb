"""Features in several workers: how much faster, and whether anything is lost where some die."""
