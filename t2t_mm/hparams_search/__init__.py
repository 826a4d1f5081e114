"""Search for hyperparameters: many short runs, each in a folder of its own."""
