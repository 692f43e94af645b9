"""Conformance of this plugin's components with mtlkit's families.

Every component is checked. A component whose options have no default needs a value in `examples`;
a check that it cannot pass needs a reason in `excuses`.
"""

from mtlkit import testing

EXCUSES = {
    "weightings/hello/discount": {
        "ignores-the-order-of-tasks": "each side task has a smaller weight than the one before it"
    }
}
test_conformance = testing.conformance("hello", excuses=EXCUSES)
