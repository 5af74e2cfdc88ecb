"""Several tasks in one run: what they are, fitting, opening and scoring them together."""
