"""The aggregators of TorchJD as weightings of mtlkit."""
