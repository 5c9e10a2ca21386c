//! CPIM as the pickiest peers want it: CRLF, exact case, one blank after each colon, addresses in angle brackets.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Address, CORE, Message, escapes::push_escaped};

pub(super) fn wrap(message: &Message) -> Bytes {
    let mut text = String::with_capacity(message.body.len().saturating_add(512));
    if let Some(from) = &message.from {
        push_address(&mut text, "From", from);
    }
    for to in &message.to {
        push_address(&mut text, "To", to);
    }
    for cc in &message.cc {
        push_address(&mut text, "cc", cc);
    }
    if let Some(date_time) = &message.date_time {
        push_header(&mut text, "DateTime", date_time);
    }
    if let Some(subject) = &message.subject {
        text.push_str("Subject: ");
        push_escaped(&mut text, subject);
        text.push_str("\r\n");
    }
    push_extensions(&mut text, message);
    text.push_str("\r\n");
    for (name, value) in &message.content_headers {
        push_header(&mut text, name, value);
    }
    if let Some(content_type) = &message.content_type {
        push_header(&mut text, "Content-Type", content_type);
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&message.body);
    bytes.into()
}

/// Namespaces before they are used, then what is required, then the headers.
fn push_extensions(text: &mut String, message: &Message) {
    let names = message.extensions.iter().map(|extension| &extension.name);
    let names = names.chain(&message.required);
    let mut prefix_by_namespace = BTreeMap::new();
    for name in names.filter(|name| name.namespace != CORE) {
        let next = prefix_by_namespace.len();
        prefix_by_namespace
            .entry(name.namespace.as_str())
            .or_insert_with(|| prefix(&name.namespace, next));
    }
    for (namespace, prefix) in &prefix_by_namespace {
        text.push_str("NS: ");
        text.push_str(prefix);
        text.push_str(" <");
        push_clean(text, namespace);
        text.push_str(">\r\n");
    }
    let full_name = |text: &mut String, namespace: &str, name: &str| {
        if let Some(prefix) = prefix_by_namespace.get(namespace) {
            text.push_str(prefix);
            text.push('.');
        }
        push_clean(text, name);
    };
    // In one header, as they may have come: readers bound the number of headers.
    for (at, required) in message.required.iter().enumerate() {
        text.push_str(if at == 0 { "Require: " } else { ", " });
        full_name(text, &required.namespace, &required.name);
    }
    if !message.required.is_empty() {
        text.push_str("\r\n");
    }
    for extension in &message.extensions {
        full_name(text, &extension.name.namespace, &extension.name.name);
        text.push_str(": ");
        push_clean(text, &extension.value);
        text.push_str("\r\n");
    }
}

/// IMDN's is the customary one, which some readers look for without looking at the namespace.
fn prefix(namespace: &str, index: usize) -> String {
    match namespace {
        "urn:ietf:params:imdn" => "imdn".to_owned(),
        _ => format!("x{index}"),
    }
}

fn push_address(text: &mut String, header: &str, address: &Address) {
    text.push_str(header);
    text.push_str(": ");
    if let Some(name) = address.name.as_deref().filter(|name| !name.is_empty()) {
        text.push('"');
        push_escaped(text, name);
        text.push_str("\" ");
    }
    text.push('<');
    let uri = address.uri.chars();
    text.extend(uri.filter(|letter| {
        !letter.is_control() && !letter.is_whitespace() && !matches!(letter, '<' | '>')
    }));
    text.push_str(">\r\n");
}

fn push_header(text: &mut String, name: &str, value: &str) {
    push_clean(text, name);
    text.push_str(": ");
    push_clean(text, value);
    text.push_str("\r\n");
}

/// Without control characters, which could end the line (SEC-09).
fn push_clean(text: &mut String, value: &str) {
    text.extend(value.chars().filter(|letter| !letter.is_control()));
}
