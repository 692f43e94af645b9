"""Use of a trained model: predictions, export and its card."""
