"""What this plugin brings keeps what its families promise."""

from mtlkit import testing

test_conformance = testing.conformance("torchjd", examples={}, excuses={})
