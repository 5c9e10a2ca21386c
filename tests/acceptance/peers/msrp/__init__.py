"""An MSRP endpoint of the tests' own, strict about what it receives."""
