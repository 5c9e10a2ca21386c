//! Digest authentication: RFC 3261 §22, RFC 7616.

mod client;
mod server;

use stox_sip::{
    Authentication, CredentialScope, Credentials, Demand, Event, Reply, Request, RequestId,
    Response, Secret, Status, User,
};

use crate::stage::{Net, ROMEO, message, source};

/// Where neither of them is.
const ELSEWHERE: &str = "192.0.2.3:5060";

/// Romeo asks everybody for a proof, and Juliet knows her password.
fn guarded() -> Net {
    let scope = CredentialScope::Domain("EXAMPLE.net".into());
    Net::with(
        |config| config.credentials = vec![credentials(scope, "wherefore")],
        |config| config.authentication = vec![guard(Demand::Everyone)],
    )
}

fn guard(demand: Demand) -> Authentication {
    let user = |name: &str, secret| User {
        name: name.into(),
        secret: Secret::new(secret),
    };
    let users = vec![user("juliet", "wherefore"), user("romeo", "a rose")];
    Authentication::new("example.net", demand, users)
}

fn credentials(scope: CredentialScope, secret: &str) -> Credentials {
    Credentials {
        scope,
        user: "juliet".into(),
        secret: Secret::new(secret),
    }
}

/// Juliet sends a message, Romeo accepts it if he is told.
fn converse(net: &mut Net, id: u64) -> Status {
    net.juliet
        .request(RequestId::ours(id), message("hi"), net.now);
    net.run();
    if let Some(Event::Requested { transaction, .. }) = net.romeo.poll_event() {
        let reply = Reply::new(Status::OK);
        net.romeo.respond(transaction, reply, net.now);
        net.run();
    }
    match net.juliet.poll_event() {
        Some(Event::Responded { response, .. }) => response.status,
        other => panic!("{other:?}"),
    }
}

/// What Romeo says to a request from there, but for 100.
fn answers(net: &mut Net, request: &Request, from: &str) -> Vec<Response> {
    let source = source(ROMEO, from);
    net.romeo
        .handle_received(Ok(request.clone().into()), source, net.now);
    let mut responses = net.romeo_responses();
    responses.retain(|response| response.status != Status::TRYING);
    responses
}

fn statuses(net: &mut Net, request: &Request, from: &str) -> Vec<u16> {
    let answers = answers(net, request, from);
    answers.iter().map(|a| a.status.code()).collect()
}
