"""A SIP user agent of the tests' own, strict about what it receives."""
