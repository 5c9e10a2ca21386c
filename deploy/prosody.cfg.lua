-- To be pasted at the end of /etc/prosody/prosody.cfg.lua.

-- Where components connect to; only on this machine unless told otherwise.
component_ports = { 5347 }
component_interfaces = { "127.0.0.1" }

-- The domain and secret of [xmpp] in stox.toml.
Component "sip.example.com"
	component_secret = "change me"
