"""The users at both ends: slixmpp for XMPP, an own implementation for SIP and MSRP."""
