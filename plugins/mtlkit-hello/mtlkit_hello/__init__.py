"""A plugin of mtlkit; `mtlkit_hello.plugin` registers its components."""
