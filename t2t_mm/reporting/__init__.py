"""A folder to look at: what a run learned, and what its model says."""
