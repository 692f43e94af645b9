"""Networks of published protocols, as backbones and adapters."""
