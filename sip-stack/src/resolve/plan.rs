//! The order of questions to the DNS and of targets to try. RFC 3263 §4.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use rand::{Rng, RngExt};

use crate::{Host, Scheme, Transport, Uri};

/// Most services, and most addresses of one name, that are looked at; a zone can hold any number.
const MOST: usize = 8;

/// Where a request can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// How.
    pub transport: Transport,
    /// Where to.
    pub address: SocketAddr,
    /// Over TLS the domain of the URI the target was found for: what a certificate must be valid for.
    pub domain: Option<String>,
}

/// A question to the DNS. Names have no final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The NAPTR records of a domain.
    Naptr(String),
    /// The SRV records of a service, such as `_sip._udp.example.com`.
    Srv(String),
    /// The A and AAAA records of a host.
    Addresses(String),
}

/// What the DNS said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Question::Srv`].
    Srv(Vec<Srv>),
    /// To [`Question::Addresses`].
    Addresses(Vec<IpAddr>),
    /// There is no such name, or it has no records of this kind.
    NoRecords,
    /// No answer came, or the server could not give one.
    Failed,
}

/// A NAPTR record. RFC 3403 §4.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lower first.
    pub order: u16,
    /// Lower first, among equal orders.
    pub preference: u16,
    /// `s`: the replacement is the name of SRV records.
    pub flags: String,
    /// Such as `SIP+D2U`.
    pub service: String,
    /// A name without final dot.
    pub replacement: String,
}

/// An SRV record. RFC 2782.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower first.
    pub priority: u16,
    /// The share among equal priorities.
    pub weight: u16,
    /// Port of the service.
    pub port: u16,
    /// Host of the service without final dot; empty: the service is not offered.
    pub host: String,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the DNS, give the answer to `handle_answer`.
    Ask(Question),
    /// Try this target; if that fails, ask for the next step again.
    Try(Target),
    /// Nothing is left.
    Exhausted(Exhausted),
}

/// Why nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// Some targets were tried.
    AllTried,
    /// The DNS has nothing for this URI, or it is of a kind that has no host.
    NoTarget,
    /// The DNS did not answer.
    NoAnswer,
}

/// The way from one URI to its targets: questions and targets in order.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What is still to be done, first things first.
    queue: VecDeque<Todo>,
    asked: Option<Todo>,
    domain: Option<Host>,
    targets: usize,
    unanswered: bool,
    found_services: bool,
}

#[derive(Clone, Debug)]
enum Todo {
    Naptr {
        name: String,
        services: Vec<Service>,
    },
    Srv {
        name: String,
        transport: Transport,
    },
    Addresses {
        name: String,
        port: u16,
        transport: Transport,
    },
    Address(SocketAddr, Transport),
    /// Only if no service was found before: the host itself.
    IfNoService {
        name: String,
        transport: Transport,
    },
    /// Only if no service was found before: the SRV names everyone can guess.
    GuessServices {
        name: String,
        services: Vec<Service>,
    },
}

/// What NAPTR calls a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Service {
    transport: Transport,
    naptr: &'static str,
    srv: &'static str,
}

const UDP: Service = Service {
    transport: Transport::Udp,
    naptr: "SIP+D2U",
    srv: "_sip._udp",
};
const TCP: Service = Service {
    transport: Transport::Tcp,
    naptr: "SIP+D2T",
    srv: "_sip._tcp",
};
const TLS: Service = Service {
    transport: Transport::Tls,
    naptr: "SIPS+D2T",
    srv: "_sips._tcp",
};

impl Plan {
    /// The plan for a next hop. `offered`: the transports we can send over.
    pub(crate) fn new(uri: &Uri, offered: &[Transport]) -> Self {
        let mut plan = Plan::exhausted();
        let secure = match uri.scheme() {
            Scheme::Sips => true,
            Scheme::Sip | Scheme::Im | Scheme::Pres => false,
            Scheme::Tel | Scheme::Xmpp | Scheme::Other(_) => return plan,
        };
        let host = match uri.param("maddr").flatten().and_then(Host::parse) {
            Some(host) => host,
            None => match uri.host() {
                Some(host) => host.clone(),
                None => return plan,
            },
        };
        // TLS is asked for by the scheme, or in the manner of RFC 2543 by the parameter.
        let asked_for = match uri.transport() {
            Some(Ok(Transport::Tls)) => Some(Transport::Tls),
            Some(Ok(Transport::Tcp)) if secure => Some(Transport::Tls),
            Some(Ok(transport)) if !secure => Some(transport),
            Some(Ok(_)) | Some(Err(_)) => return plan,
            None if secure => Some(Transport::Tls),
            None => None,
        };
        if asked_for.is_some_and(|transport| !offered.contains(&transport)) {
            return plan;
        }
        plan.domain = uri.host().cloned();
        let fallback = asked_for.or_else(|| {
            [Transport::Udp, Transport::Tcp, Transport::Tls]
                .into_iter()
                .find(|t| offered.contains(t))
        });
        let Some(fallback) = fallback else {
            return plan;
        };
        match (host, uri.port()) {
            (Host::V4(address), port) => plan.push_address(address.into(), port, fallback),
            (Host::V6(address), port) => plan.push_address(address.into(), port, fallback),
            (Host::Name(name), Some(port)) => {
                plan.queue.push_back(Todo::Addresses {
                    name: bare(&name),
                    port,
                    transport: fallback,
                });
            }
            (Host::Name(name), None) => {
                let name = bare(&name);
                match uri.scheme() {
                    Scheme::Im => plan.push_srv(format!("_im._sip.{name}"), fallback),
                    Scheme::Pres => plan.push_srv(format!("_pres._sip.{name}"), fallback),
                    Scheme::Sip | Scheme::Sips | Scheme::Tel | Scheme::Xmpp | Scheme::Other(_) => {}
                }
                let is_wanted = |service: &Service| match asked_for {
                    Some(transport) => service.transport == transport,
                    None => offered.contains(&service.transport),
                };
                let services: Vec<Service> =
                    [UDP, TCP, TLS].into_iter().filter(is_wanted).collect();
                if uri.transport().is_none() {
                    plan.queue.push_back(Todo::Naptr {
                        name: name.clone(),
                        services: services.clone(),
                    });
                }
                plan.queue.push_back(Todo::GuessServices {
                    name: name.clone(),
                    services,
                });
                plan.queue.push_back(Todo::IfNoService {
                    name,
                    transport: fallback,
                });
            }
        }
        plan
    }

    /// The plan that has nothing to try.
    pub(crate) fn exhausted() -> Self {
        Plan {
            queue: VecDeque::new(),
            asked: None,
            domain: None,
            targets: 0,
            unanswered: false,
            found_services: false,
        }
    }

    /// What to do next.
    pub(crate) fn poll_step(&mut self) -> Step {
        while let Some(todo) = self.queue.pop_front() {
            let question = match &todo {
                Todo::Address(address, transport) => {
                    self.targets = self.targets.saturating_add(1);
                    let domain = self.domain.as_ref();
                    return Step::Try(Target {
                        transport: *transport,
                        address: *address,
                        domain: domain
                            .filter(|_| *transport == Transport::Tls)
                            .map(ToString::to_string),
                    });
                }
                Todo::Naptr { name, .. } if !self.found_services => Question::Naptr(name.clone()),
                Todo::Srv { name, .. } => Question::Srv(name.clone()),
                Todo::Addresses { name, .. } => Question::Addresses(name.clone()),
                Todo::IfNoService { name, transport } if !self.found_services => {
                    let port = transport.default_port();
                    self.queue.push_front(Todo::Addresses {
                        name: name.clone(),
                        port,
                        transport: *transport,
                    });
                    continue;
                }
                Todo::GuessServices { name, services } if !self.found_services => {
                    let guesses: Vec<Todo> = services
                        .iter()
                        .map(|service| Todo::Srv {
                            name: format!("{}.{name}", service.srv),
                            transport: service.transport,
                        })
                        .collect();
                    self.push_front(guesses);
                    continue;
                }
                Todo::Naptr { .. } | Todo::IfNoService { .. } | Todo::GuessServices { .. } => {
                    continue;
                }
            };
            self.asked = Some(todo);
            return Step::Ask(question);
        }
        Step::Exhausted(match (self.targets, self.unanswered) {
            (0, true) => Exhausted::NoAnswer,
            (0, false) => Exhausted::NoTarget,
            _ => Exhausted::AllTried,
        })
    }

    /// The answer to the question of the last step. `random` shuffles services by their weights.
    pub(crate) fn handle_answer(&mut self, answer: Answer, random: &mut impl Rng) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        match (asked, answer) {
            (Todo::Naptr { services, .. }, Answer::Naptr(records)) => {
                self.handle_naptr(records, &services)
            }
            (Todo::Srv { transport, .. }, Answer::Srv(records)) => {
                self.found_services = true;
                let todo = in_order(records, random)
                    .into_iter()
                    .filter(|record| !record.host.is_empty())
                    .take(MOST)
                    .map(|record| Todo::Addresses {
                        name: record.host,
                        port: record.port,
                        transport,
                    })
                    .collect();
                self.push_front(todo);
            }
            (
                Todo::Addresses {
                    port, transport, ..
                },
                Answer::Addresses(addresses),
            ) => {
                let todo = addresses
                    .into_iter()
                    .take(MOST)
                    .map(|address| Todo::Address(SocketAddr::new(address, port), transport))
                    .collect();
                self.push_front(todo);
            }
            (asked, Answer::Failed) => {
                self.unanswered = true;
                // A domain that may have services must not be contacted past them.
                if matches!(asked, Todo::Naptr { .. } | Todo::Srv { .. }) {
                    self.queue
                        .retain(|todo| !matches!(todo, Todo::IfNoService { .. }));
                }
            }
            (_, Answer::NoRecords | Answer::Naptr(_) | Answer::Srv(_) | Answer::Addresses(_)) => {}
        }
    }

    fn handle_naptr(&mut self, mut records: Vec<Naptr>, services: &[Service]) {
        records.sort_by_key(|record| (record.order, record.preference));
        let todo: Vec<Todo> = records
            .into_iter()
            .filter(|record| {
                record.flags.eq_ignore_ascii_case("s") && !record.replacement.is_empty()
            })
            .filter_map(|record| {
                let service = services
                    .iter()
                    .find(|s| s.naptr.eq_ignore_ascii_case(&record.service))?;
                Some(Todo::Srv {
                    name: record.replacement,
                    transport: service.transport,
                })
            })
            .take(MOST)
            .collect();
        if !todo.is_empty() {
            self.found_services = true;
            self.push_front(todo);
        }
    }

    fn push_front(&mut self, todo: Vec<Todo>) {
        for todo in todo.into_iter().rev() {
            self.queue.push_front(todo);
        }
    }

    fn push_srv(&mut self, name: String, transport: Transport) {
        self.queue.push_back(Todo::Srv { name, transport });
    }

    fn push_address(&mut self, address: IpAddr, port: Option<u16>, transport: Transport) {
        let address = SocketAddr::new(address, port.unwrap_or(transport.default_port()));
        self.queue.push_back(Todo::Address(address, transport));
    }
}

/// A name as the questions have it.
fn bare(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// By priority, among equal priorities at random by weight. RFC 2782, "Usage rules".
fn in_order(mut records: Vec<Srv>, random: &mut impl Rng) -> Vec<Srv> {
    // Weight zero stands first so that it is drawn only when the draw is zero.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut rest: VecDeque<Srv> = records.into();
    let mut ordered = Vec::with_capacity(rest.len());
    while let Some(priority) = rest.front().map(|record| record.priority) {
        let group = rest.iter().take_while(|record| record.priority == priority);
        let total: u64 = group.map(|record| u64::from(record.weight)).sum();
        let draw = random.random_range(0..=total);
        let mut sum = 0_u64;
        let chosen = rest.iter().position(|record| {
            sum = sum.saturating_add(record.weight.into());
            record.priority == priority && sum >= draw
        });
        ordered.extend(chosen.and_then(|index| rest.remove(index)));
    }
    ordered
}

#[cfg(test)]
mod tests;
