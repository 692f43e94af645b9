"""Transforms: random changes of training samples and fixed changes of all, inputs and labels."""
