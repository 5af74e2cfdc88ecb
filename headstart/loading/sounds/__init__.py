"""How sounds are fed to networks: windows of samples, spectrograms, and pictures of them."""
