"""One file per place pretrained weights come from."""
