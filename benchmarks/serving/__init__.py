"""A served model under load, beside the same model behind other servers."""
