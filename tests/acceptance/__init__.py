"""Acceptance tests of stox: real XMPP servers, a real gateway, independent peers."""
