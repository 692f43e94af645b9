"""The components of this plugin keep the promises of mtlkit's families.

Each of its components is checked. A component with options that have no default needs a value in
`examples`; a check that it cannot pass needs a reason in `excuses`.
"""

from mtlkit import testing

EXCUSES = {
    "weightings/hello/discount": {
        "ignores-the-order-of-tasks": "each side task has a smaller weight than the one before it"
    }
}
test_conformance = testing.conformance("hello", excuses=EXCUSES)
