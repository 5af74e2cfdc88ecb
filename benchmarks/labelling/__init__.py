"""What choosing which items to label is worth, and how far forecasts of more labels hold."""
