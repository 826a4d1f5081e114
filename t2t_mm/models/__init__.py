"""Models. Their hparams load without TensorFlow, so nothing is imported here."""
