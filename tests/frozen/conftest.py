"""The plugins are run by tests, and no tests themselves."""

collect_ignore_glob = ["api_*"]
