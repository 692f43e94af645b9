"""Types of targets: shape, missing labels and classes of what a task predicts."""
