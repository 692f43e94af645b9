"""A plugin made for the plugin API 2.0. It is never changed: see tests/frozen/test_frozen.py."""
