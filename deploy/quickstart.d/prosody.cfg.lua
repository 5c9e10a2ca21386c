-- The private Prosody of ./deploy/quickstart: loopback only, no other servers, nothing outside @folder@.
run_as_root = true
daemonize = false
pidfile = "@folder@/prosody.pid"
data_path = "@folder@/prosody"
log = { { levels = { min = "info" }, to = "console" } }

interfaces = { "127.0.0.1" }
c2s_ports = { @c2s_port@ }
component_interface = "127.0.0.1"
component_ports = { @component_port@ }
s2s_ports = {}
modules_enabled = { "disco", "offline", "ping", "roster", "saslauth", "tls" }
modules_disabled = { "s2s" }

authentication = "internal_plain"
-- Clients may use TLS with this certificate, which nobody vouches for, or none at all.
certificates = "@folder@"
ssl = { certificate = "@folder@/localhost.crt", key = "@folder@/localhost.key" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true

VirtualHost "localhost"

Component "sip.localhost"
	component_secret = "@secret@"

Component "rooms.localhost" "muc"
	muc_room_locking = false
