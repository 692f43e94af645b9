"""Parameter groups and the calls and state of optimizers."""
