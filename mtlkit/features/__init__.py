"""Types of inputs and features: what a backbone reads, and what heads and routers read from it."""
