"""A plugin made for the plugin API 1.0. It is never changed: see tests/frozen/test_frozen.py."""
