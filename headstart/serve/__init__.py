"""A saved model at work: whatever a user holds in, answers out."""

from __future__ import annotations

from headstart.serve.events import Event, Events
from headstart.serve.predictions import Prediction, Predictions
from headstart.serve.predictor import Predictor

__all__ = ["Event", "Events", "Prediction", "Predictions", "Predictor"]
