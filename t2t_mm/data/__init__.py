"""The data tower: making records (without TensorFlow) and reading them."""
