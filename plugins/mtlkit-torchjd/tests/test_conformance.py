"""Every component of this plugin conforms to its family."""

from mtlkit import testing

test_conformance = testing.conformance("torchjd", examples={}, excuses={})
