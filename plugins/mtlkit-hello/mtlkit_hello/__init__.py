"""A plugin of mtlkit; what it brings is in `mtlkit_hello.plugin`."""
