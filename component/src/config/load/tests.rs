use std::sync::atomic::{AtomicU32, Ordering};

use stox_sip::{CredentialScope, Demand};

use super::*;
use crate::config::ChatMode;

const MINIMAL: &str = r#"
[xmpp]
server = "127.0.0.1:5347"
domain = "sip.example.com"
secret = "s3cret"
"#;

const COMPLETE: &str = r#"
shutdown_timeout = "2s"
log = "info,stox=debug"

[xmpp]
server = "xmpp.example.com:5347"
domain = "SIP.example.com"
secret = "s3cret"
address_style = "escaped"
allowed = ["example.com", "Nurse@example.org"]

[sip]
listen = ["udp:127.0.0.1:5060", "tcp:[::1]:5060"]
public = "gw.example.com:5060"
default_domain = "example.net"
outbound_proxy = "sip:127.0.0.1:5080;transport=tcp"
dns_server = "127.0.0.1:53"
trusted = ["127.0.0.0/8", "2001:db8::/32"]
reachable = ["10.0.0.0/8"]

[msrp]
listen = ["tcp:127.0.0.1:2855"]
public = "gw.example.com"

[chat]
mode = "message"
idle_timeout = "1h"

[admin]
listen = "127.0.0.1:9790"
"#;

#[test]
fn only_xmpp_is_required() {
    let config = load(MINIMAL, &[]).unwrap();
    assert_eq!(config.xmpp.server.to_string(), "127.0.0.1:5347");
    assert_eq!(config.xmpp.domain, "sip.example.com");
    assert_eq!(config.xmpp.secret.expose(), "s3cret");
    assert_eq!(config.xmpp.address_style, AddressStyle::Percent);
    assert_eq!(
        shown(&config.sip.listen),
        ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"]
    );
    assert_eq!(shown(&config.msrp.listen), ["tcp:0.0.0.0:2855"]);
    assert!(config.xmpp.allowed.is_empty());
    assert!(config.sip.trusted.is_empty() && config.sip.outbound_proxy.is_none());
    assert_eq!(config.chat.mode, ChatMode::Auto);
    assert_eq!(config.chat.idle_timeout, Duration::from_secs(600));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(10));
    assert_eq!(config.log, "info");
    assert!(config.admin.is_none());
}

#[test]
fn state_is_kept_where_it_says() {
    // CORE-06, CHAT-38
    let scratch = Scratch::new(MINIMAL);
    let folder = |environment: &[(&str, &str)]| scratch.load(environment).unwrap().state_directory;
    assert_eq!(folder(&[]), scratch.directory);
    let systemd = ("STATE_DIRECTORY", "/var/lib/stox:/var/lib/other");
    assert_eq!(folder(&[systemd]), Path::new("/var/lib/stox"));
    let relative = ("STOX_STATE_DIRECTORY", "state");
    assert_eq!(
        folder(&[systemd, relative]),
        scratch.directory.join("state")
    );
}

#[test]
fn every_key_is_read() {
    let config = load(COMPLETE, &[]).unwrap();
    assert_eq!(config.xmpp.server.to_string(), "xmpp.example.com:5347");
    assert_eq!(config.xmpp.domain, "sip.example.com");
    assert_eq!(config.xmpp.address_style, AddressStyle::Escaped);
    let allowed: Vec<_> = config.xmpp.allowed.iter().map(Jid::as_str).collect();
    assert_eq!(allowed, ["example.com", "nurse@example.org"]);
    assert_eq!(
        shown(&config.sip.listen),
        ["udp:127.0.0.1:5060", "tcp:[::1]:5060"]
    );
    assert_eq!(
        config.sip.public.unwrap().to_string(),
        "gw.example.com:5060"
    );
    assert_eq!(config.sip.default_domain.as_deref(), Some("example.net"));
    let proxy = config.sip.outbound_proxy.unwrap();
    assert_eq!(proxy.to_string(), "sip:127.0.0.1:5080;transport=tcp");
    assert_eq!(config.sip.dns_server, Some("127.0.0.1:53".parse().unwrap()));
    assert_eq!(config.sip.trusted.len(), 2);
    assert_eq!(config.sip.reachable, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(config.msrp.public.unwrap().port, None);
    assert_eq!(config.chat.mode, ChatMode::Message);
    assert_eq!(config.chat.idle_timeout, Duration::from_secs(3600));
    assert_eq!(
        config.admin.unwrap().listen,
        "127.0.0.1:9790".parse().unwrap()
    );
    assert_eq!(config.shutdown_timeout, Duration::from_secs(2));
    assert_eq!(config.log, "info,stox=debug");
}

#[test]
fn the_environment_goes_over_the_file() {
    let config = load(
        MINIMAL,
        &[
            ("STOX_XMPP__SECRET", "007"),
            ("STOX_SIP__LISTEN", "udp:127.0.0.1:5062, tcp:127.0.0.1:5062"),
            ("STOX_SIP__DEFAULT_DOMAIN", "example.net"),
            ("STOX_SIP__TRUSTED", "127.0.0.0/8"),
            ("STOX_CHAT__MODE", "msrp"),
            ("STOX_ADMIN__LISTEN", "127.0.0.1:9790"),
            ("STOX_SHUTDOWN_TIMEOUT", "1s"),
            ("STOX_LOG", "debug"),
        ],
    )
    .unwrap();
    assert_eq!(config.xmpp.secret.expose(), "007");
    assert_eq!(
        shown(&config.sip.listen),
        ["udp:127.0.0.1:5062", "tcp:127.0.0.1:5062"]
    );
    assert_eq!(config.sip.default_domain.as_deref(), Some("example.net"));
    assert_eq!(config.sip.trusted.len(), 1);
    assert_eq!(config.chat.mode, ChatMode::Msrp);
    assert!(config.admin.is_some());
    assert_eq!(config.shutdown_timeout, Duration::from_secs(1));
    assert_eq!(config.log, "debug");
}

/// SIP-15 SIP-16 SEC-08
#[test]
fn passwords_come_from_the_file_or_from_files_beside_it() {
    let scratch = Scratch::new(&format!(
        "{MINIMAL}[[sip.credentials]]\nrealm = \"Montague house\"\nuser = \"gw\"\npassword = \"hunter2\"\n\
         [[sip.credentials]]\ndomain = \"Example.NET\"\nuser = \"gw\"\npassword_file = \"pw\"\n\
         [[sip.users]]\naddress = \"romeo@Example.net\"\npassword = \"hunter2\"\n\
         [[sip.users]]\naddress = \"paris@example.net\"\npassword_file = \"pw\"\n"
    ));
    scratch.write("pw", "hunter3\n");
    let config = scratch
        .load(&[("STOX_SIP__TRUSTED", "127.0.0.0/8")])
        .unwrap();
    assert_eq!(config.sip.trusted.len(), 1);
    let secret = |text: &str| stox_sip::Secret::new(text);
    let scopes: Vec<_> = config
        .credentials
        .iter()
        .map(|own| (&own.scope, &own.secret))
        .collect();
    assert_eq!(
        scopes,
        [
            (
                &CredentialScope::Realm("Montague house".to_owned()),
                &secret("hunter2")
            ),
            (
                &CredentialScope::Domain("example.net".to_owned()),
                &secret("hunter3")
            ),
        ]
    );
    let [realm] = config.authentication.as_slice() else {
        panic!()
    };
    assert_eq!(realm.realm, "example.net");
    assert_eq!(
        realm.demand,
        Demand::StrangersOf(vec!["example.net".to_owned()])
    );
    let users: Vec<_> = realm
        .users
        .iter()
        .map(|user| (user.name.as_str(), &user.secret))
        .collect();
    assert_eq!(
        users,
        [("romeo", &secret("hunter2")), ("paris", &secret("hunter3"))]
    );
    assert!(
        !format!("{config:?}").contains("hunter"),
        "SEC-08: {config:?}"
    );
}

/// Each mistake: what is appended to the minimal file, and what the message must say after the file's name.
#[test]
fn mistakes_are_told_with_key_and_expectation() {
    for (appended, message) in [
        (
            "[sip]\nlisten = [\"udp:localhost\"]",
            r#"sip.listen: expected a transport, IP address and port such as "udp:127.0.0.1:5060", found "udp:localhost""#,
        ),
        (
            "[sip]\nlisten = []",
            "sip.listen: expected at least one listener",
        ),
        (
            "[[sip.credentials]]\nuser = \"gw\"\npassword = \"p\"",
            "sip.credentials[0].realm: expected either realm or domain",
        ),
        (
            "[[sip.credentials]]\nrealm = \"a\"\nuser = \"gw\"",
            "sip.credentials[0].password is missing; expected the password, or password_file",
        ),
        (
            "[[sip.credentials]]\nrealm = \"a\"\nuser = \"gw\"\npassword = \"p\"\npasswort = 1",
            "unknown key sip.credentials[0].passwort; expected one of realm, domain, user, password",
        ),
        (
            "[[sip.users]]\naddress = \"romeo\"\npassword = \"p\"",
            r#"sip.users[0].address: expected the address of a SIP user such as "romeo@example.net", found "romeo""#,
        ),
        (
            "[[sip.users]]\naddress = \"romeo@example.net\"\npassword = \"p\"\npassword_file = \"q\"",
            "sip.users[0].password_file: expected either password or password_file, found both",
        ),
        (
            "[[sip.users]]\naddress = \"r@a\"\npassword = \"p\"\n[[sip.users]]\naddress = \"r@A\"\npassword = \"p\"",
            "sip.users[1].address: expected each address once",
        ),
        ("[sip]\nlisten = 5060", "sip.listen: expected a list"),
        (
            "[sip]\nlisen = []",
            "unknown key sip.lisen; expected one of listen, public, default_domain, outbound_proxy",
        ),
        (
            "[sip]\ndefault_domain = \"a b\"",
            r#"sip.default_domain: expected a domain such as "sip.example.com", found "a b""#,
        ),
        (
            "[sip]\noutbound_proxy = \"127.0.0.1\"",
            "sip.outbound_proxy: expected a SIP URI",
        ),
        (
            "allowed = [\"juliet@example.com/balcony\"]",
            r#"xmpp.allowed: expected a domain or an address such as "juliet@example.com", found "juliet@example.com/balcony""#,
        ),
        (
            "[sip]\ntrusted = [\"localhost\"]",
            r#"sip.trusted: expected a network such as "127.0.0.0/8", found "localhost""#,
        ),
        (
            "[sip]\ndns_server = \"127.0.0.1\"",
            "sip.dns_server: expected an IP address and port",
        ),
        (
            "[msrp]\nlisten = [\"udp:127.0.0.1:2855\"]",
            r#"msrp.listen: expected a transport, IP address and port such as "tcp:127.0.0.1:2855""#,
        ),
        (
            "[chat]\nmode = \"irc\"",
            r#"chat.mode: expected auto, msrp or message, found "irc""#,
        ),
        (
            "[chat]\nidle_timeout = \"soon\"",
            r#"chat.idle_timeout: expected a duration such as "10m""#,
        ),
        (
            "[chat]\nidle_timeout = 10",
            "chat.idle_timeout: expected a duration",
        ),
        (
            "[admin]",
            "admin.listen is missing; expected an IP address and port",
        ),
        (
            "[admin]\nlisten = \"x\"",
            "admin.listen: expected an IP address and port",
        ),
        (
            "[rooms]\nx = 1",
            "unknown key rooms; expected one of xmpp, sip, msrp, chat, admin",
        ),
        (
            "[sip.tls]\ncertificate = \"c.pem\"",
            "sip.tls.key is missing",
        ),
        (
            "[sip.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\nfoo = 1",
            "unknown key sip.tls.foo",
        ),
        (
            "[sip]\nlisten = [\"tls:127.0.0.1:5061\"]",
            "sip.tls is missing; expected a table [sip.tls] with certificate and key",
        ),
        (
            "[msrp]\nlisten = [\"tls:127.0.0.1:2855\"]",
            "sip.tls is missing; expected a table [sip.tls] with certificate and key",
        ),
        (
            "[sip]\noutbound_proxy = \"sips:proxy.example.net\"",
            "sip.tls is missing; expected a table [sip.tls] with certificate and key",
        ),
        (
            "[sip]\noutbound_proxy = \"sip:proxy.example.net;transport=tls\"",
            "sip.tls is missing; expected a table [sip.tls] with certificate and key",
        ),
        (
            "[chat]\nmode = \"xmpp\"",
            "chat.mode: the mode \"xmpp\" is not supported yet; expected auto, msrp or message",
        ),
    ] {
        assert_told(&format!("{MINIMAL}\n{appended}\n"), &[], message);
    }
    for (changed, message) in [
        (
            MINIMAL.replace("[xmpp]", "[xmmp]"),
            "unknown key xmmp; expected one of xmpp",
        ),
        (MINIMAL.replace("server", "serve"), "unknown key xmpp.serve"),
        (
            MINIMAL.replace("server = \"127.0.0.1:5347\"", ""),
            "xmpp.server is missing; expected the component port",
        ),
        (
            MINIMAL.replace(":5347", ""),
            "xmpp.server: expected a host and port such as",
        ),
        (
            MINIMAL.replace("secret = \"s3cret\"", ""),
            "xmpp.secret is missing; expected the secret",
        ),
        (
            MINIMAL.replace("s3cret", ""),
            "xmpp.secret: expected a secret, found an empty text",
        ),
        (
            MINIMAL.replace("domain = \"sip", "domain = \"a@sip"),
            "xmpp.domain: expected a domain",
        ),
        (
            format!("log = \"x=y=z\"\n{MINIMAL}"),
            "log: expected a filter",
        ),
        (
            format!("shutdown_timeout = \"x\"\n{MINIMAL}"),
            "shutdown_timeout: expected a duration",
        ),
        (String::new(), "xmpp is missing; expected a table [xmpp]"),
        (MINIMAL.replace('[', "<"), "TOML parse error at line 2"),
    ] {
        assert_told(&changed, &[], message);
    }
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    for (variable, value, message) in [
        (
            "STOX_XMPP__SERVR",
            "x",
            "unknown key xmpp.servr; expected one of server",
        ),
        (
            "STOX_COLOUR",
            "x",
            "unknown key colour; expected one of xmpp",
        ),
        (
            "STOX_CHAT__MODE",
            "irc",
            "chat.mode: expected auto, msrp or message",
        ),
        (
            "STOX_SIP__LISTEN",
            "5060",
            "sip.listen: expected a transport",
        ),
        (
            "STOX_SIP__LISTEN",
            "",
            "sip.listen: expected at least one listener",
        ),
    ] {
        let told = load(MINIMAL, &[(variable, value)]).unwrap_err().to_string();
        assert!(
            told.starts_with(&format!("{variable} in the environment (over ")),
            "{told}"
        );
        assert!(told.contains(message), "{told}");
    }
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let scratch =
        Scratch::new(&MINIMAL.replace("secret = \"s3cret\"", "secret_file = \"component.secret\""));
    let secret = scratch.directory.join("component.secret");
    let told = Config::load_with(&scratch.file, HashMap::new())
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("xmpp.secret_file: expected a readable file with the secret"),
        "{told}"
    );

    fs::write(&secret, " two words \n").unwrap();
    let config = Config::load_with(&scratch.file, HashMap::new()).unwrap();
    assert_eq!(config.xmpp.secret.expose(), " two words ");

    let told = scratch
        .load(&[("STOX_XMPP__SECRET", "x")])
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("expected either secret or secret_file, found both"),
        "{told}"
    );

    fs::write(&secret, "\n").unwrap();
    let told = scratch.load(&[]).unwrap_err().to_string();
    assert!(told.contains("is empty"), "{told}");
}

// SEC-01, SEC-02
#[test]
fn certificates_are_read_from_their_files() {
    let scratch = Scratch::with_tls("");
    let config = scratch.load(&[]).unwrap();
    let own = config.certificates.unwrap();
    assert_eq!(own.certificate, scratch.directory.join("cert.pem"));
    assert!(own.expires.is_some());
    assert!(!config.sip.tls.unwrap().verify_client);

    let scratch = Scratch::with_tls("ca = \"cert.pem\"\nverify_client = true");
    assert!(scratch.load(&[]).unwrap().sip.tls.unwrap().verify_client);
    let listen = [("STOX_SIP__LISTEN", "tls:127.0.0.1:0")];
    assert!(scratch.load(&listen).is_ok());
    let told = |variables: &[(&str, &str)]| scratch.load(variables).unwrap_err().to_string();
    let proxy = ("STOX_SIP__OUTBOUND_PROXY", "sip:192.0.2.1;transport=tcp");
    let told = told(&[listen[0], proxy]);
    assert!(
        told.contains("sip.outbound_proxy: expected a proxy reached over TLS"),
        "{told}"
    );
}

/// Each message names the file of the key beside the key itself; a private key is in none of them.
#[test]
fn unusable_certificates_are_told_with_file_and_key() {
    let (other, _) = certificate();
    for (file, text, key, message) in [
        (
            "cert.pem",
            None,
            "certificate",
            "expected a PEM file with a certificate, but",
        ),
        ("cert.pem", Some("x"), "certificate", "has no certificate"),
        (
            "key.pem",
            None,
            "key",
            "expected a PEM file with the certificate's private key, but",
        ),
        ("key.pem", Some("x"), "key", "has no private key"),
        (
            "cert.pem",
            Some(other.as_str()),
            "key",
            "is that of another certificate",
        ),
        (
            "ca.pem",
            None,
            "ca",
            "expected a PEM file with trust roots, but",
        ),
        ("ca.pem", Some("x"), "ca", "has no certificate"),
        (
            "cert.pem",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "certificate",
            "expected a certificate and key for TLS",
        ),
    ] {
        let scratch = Scratch::with_tls("ca = \"ca.pem\"");
        let path = scratch.directory.join(file);
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let told = scratch.load(&[]).unwrap_err().to_string();
        let begin = format!("{}: sip.tls.{key}: ", scratch.file.display());
        assert!(told.starts_with(&begin), "{told}\nwanted: {begin}");
        assert!(told.contains(message), "{told}\nwanted: {message}");
        assert!(told.contains(&path.display().to_string()), "{told}");
        assert!(!told.contains('\n') && !told.contains("PRIVATE"), "{told}");
    }
}

// SEC-08
#[test]
fn secrets_are_never_shown() {
    let config = load(MINIMAL, &[]).unwrap();
    assert!(!format!("{config:?}{config:#?}").contains("s3cret"));
    for broken in [
        MINIMAL.replace("\"s3cret\"", "s3cret"),
        MINIMAL.replace("\"s3cret\"", "[\"s3cret\"]"),
        MINIMAL.replace("\"s3cret\"", "\"s3cret"),
    ] {
        let error = load(&broken, &[]).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let told = Config::load_with(Path::new("/nonexistent/stox.toml"), HashMap::new()).unwrap_err();
    assert!(
        told.to_string()
            .starts_with("/nonexistent/stox.toml: cannot be read"),
        "{told}"
    );
}

fn assert_told(text: &str, environment: &[(&str, &str)], message: &str) {
    let scratch = Scratch::new(text);
    let told = match scratch.load(environment) {
        Ok(_) => panic!("accepted; wanted: {message}"),
        Err(told) => told.to_string(),
    };
    let rest = told.strip_prefix(&format!("{}: ", scratch.file.display()));
    assert!(
        rest.is_some_and(|rest| rest.starts_with(message)),
        "{told}\nwanted: {message}"
    );
    assert!(!told.contains('\n'), "{told}");
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Scratch::new(text).load(environment)
}

fn shown(listeners: &[crate::config::Listener]) -> Vec<String> {
    listeners.iter().map(ToString::to_string).collect()
}

/// A self-signed certificate and its key, both PEM.
fn certificate() -> (String, String) {
    let certified = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
    (certified.cert.pem(), certified.signing_key.serialize_pem())
}

/// A directory with one configuration file, removed afterwards.
struct Scratch {
    directory: PathBuf,
    file: PathBuf,
}

impl Scratch {
    fn new(text: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("stox-config-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("stox.toml");
        fs::write(&file, text).unwrap();
        Scratch { directory, file }
    }

    /// With `[sip.tls]`, these keys in it, and the files it names.
    fn with_tls(keys: &str) -> Scratch {
        let scratch = Scratch::new(&format!(
            "{MINIMAL}\n[sip.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n{keys}\n"
        ));
        let (certificate, key) = certificate();
        scratch.write("cert.pem", &certificate);
        scratch.write("ca.pem", &certificate);
        scratch.write("key.pem", &key);
        scratch
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.directory.join(file), text).unwrap();
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Config::load_with(&self.file, environment)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
