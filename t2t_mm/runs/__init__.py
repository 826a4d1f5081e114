"""The folder of a run: what it says of the model, and its checkpoints."""
