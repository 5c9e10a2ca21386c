//! What became of every message, as the world knows it and as its sender was told.

use std::collections::HashMap;

use stox::translate::ChatId;
use stox::translate::promise::Outcome;

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Juliet,
    Romeo,
}

#[derive(Debug)]
struct Message {
    sender: Sender,
    told: Told,
    /// juliet's: romeo's client has shown it. romeo's: its stanza was written.
    read: u32,
    /// The next hop said that it has taken the message, and the gateway has heard so.
    taken: bool,
    /// The next hop took back what it said.
    taken_back: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Delivered,
    Refused,
}

/// Every message of a schedule, by the order of writing.
#[derive(Debug, Default)]
pub struct Fates {
    messages: Vec<Message>,
    last_paged: Option<usize>,
    /// The sessions that romeo's messages came by, and the last one written of each.
    session_of: HashMap<usize, ChatId>,
    last_written: HashMap<ChatId, usize>,
    tally: Tally,
}

/// How often what happened, so that a run in which nothing happens does not pass for one without faults.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    delivered: [u64; 2],
    refused: [u64; 2],
    refused_after_delivery: u64,
    read_and_refused: u64,
}

impl Fates {
    pub fn write(&mut self, sender: Sender) -> usize {
        self.messages.push(Message {
            sender,
            told: Told::Nothing,
            read: 0,
            taken: false,
            taken_back: false,
        });
        self.messages.len() - 1
    }

    /// romeo said it in a session, whose order holds.
    pub fn said_in(&mut self, number: usize, chat: ChatId) {
        self.session_of.insert(number, chat);
    }

    /// A new conversation counts its sessions anew.
    pub fn forget_sessions(&mut self) {
        self.session_of.clear();
        self.last_written.clear();
    }

    /// romeo's client shows the message.
    pub fn read(&mut self, number: usize) -> Result<(), String> {
        let message = self.get(number, Sender::Juliet)?;
        message.read += 1;
        if message.read > 1 {
            return Err(format!("[{number}] is read twice"));
        }
        if message.told == Told::Refused {
            return Err(format!("[{number}] is read after it was given back"));
        }
        Ok(())
    }

    /// Whether romeo has read it.
    pub fn is_read(&self, number: usize) -> bool {
        self.messages
            .get(number)
            .is_some_and(|message| message.read > 0)
    }

    /// romeo's client said so, and the gateway hears it.
    pub fn accepted(&mut self, number: usize) {
        self.messages[number].taken = true;
    }

    /// A REPORT says that it failed after all.
    pub fn reported(&mut self, number: usize) {
        self.messages[number].taken_back = true;
    }

    /// MESSAGEs of one conversation keep their order.
    pub fn sent_in_order(&mut self, number: usize) -> Result<(), String> {
        self.get(number, Sender::Juliet)?;
        let overtaken = self.last_paged.is_some_and(|last| last == number);
        self.last_paged = Some(number);
        if overtaken {
            Err(format!("[{number}] is sent twice"))
        } else {
            Ok(())
        }
    }

    /// The stanza goes to the XMPP server.
    pub fn written(&mut self, number: usize) -> Result<(), String> {
        let message = self.get(number, Sender::Romeo)?;
        message.read += 1;
        if message.read > 1 {
            return Err(format!("the stanza of [{number}] is written twice"));
        }
        if message.told != Told::Nothing {
            return Err(format!(
                "the stanza of [{number}] is written after its sender was told {:?}",
                message.told
            ));
        }
        if let Some(chat) = self.session_of.get(&number)
            && let Some(last) = self.last_written.insert(*chat, number)
            && last > number
        {
            return Err(format!(
                "the stanza of [{number}] comes after that of [{last}]"
            ));
        }
        Ok(())
    }

    /// The XMPP server has taken the stanza, and the gateway hears it.
    pub fn handed(&mut self, number: usize) {
        self.messages[number].taken = true;
    }

    /// The stanza comes back.
    pub fn bounced(&mut self, number: usize) {
        self.messages[number].taken_back = true;
    }

    /// The sender is told.
    pub fn settle(&mut self, number: usize, outcome: &Outcome) -> Result<(), String> {
        let message = self
            .messages
            .get_mut(number)
            .ok_or_else(|| format!("[{number}] was never written"))?;
        let sender = message.sender as usize;
        let told = match outcome {
            Outcome::Delivered => Told::Delivered,
            Outcome::Refused(_) => Told::Refused,
        };
        match (message.told, told) {
            (Told::Nothing, Told::Delivered) if !message.taken => {
                return Err(format!(
                    "[{number}] is called delivered, and nobody has taken it"
                ));
            }
            (Told::Nothing, Told::Delivered) => self.tally.delivered[sender] += 1,
            (Told::Nothing, Told::Refused) if message.taken && !message.taken_back => {
                return Err(format!("[{number}] is given back, and it was taken"));
            }
            (Told::Nothing, Told::Refused) => {
                self.tally.refused[sender] += 1;
                self.tally.read_and_refused += u64::from(message.read > 0);
            }
            (Told::Delivered, Told::Refused) if message.taken_back => {
                self.tally.refused_after_delivery += 1
            }
            (before, _) => {
                return Err(format!(
                    "the sender of [{number}] was told {before:?}, and now {told:?}"
                ));
            }
        }
        message.told = told;
        Ok(())
    }

    /// At the end nobody waits.
    pub fn all_told(&self) -> Result<(), String> {
        match self
            .messages
            .iter()
            .position(|message| message.told == Told::Nothing)
        {
            Some(number) => Err(format!("the sender of [{number}] was told nothing")),
            None => Ok(()),
        }
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn get(&mut self, number: usize, sender: Sender) -> Result<&mut Message, String> {
        let message = self
            .messages
            .get_mut(number)
            .ok_or_else(|| format!("[{number}] was never written"))?;
        if message.sender == sender {
            Ok(message)
        } else {
            Err(format!("[{number}] comes back to its sender"))
        }
    }
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        for side in 0..2 {
            self.delivered[side] += other.delivered[side];
            self.refused[side] += other.refused[side];
        }
        self.refused_after_delivery += other.refused_after_delivery;
        self.read_and_refused += other.read_and_refused;
    }

    pub fn assert_everything_happened(&self) {
        let counts = self
            .delivered
            .iter()
            .chain(&self.refused)
            .chain([&self.refused_after_delivery, &self.read_and_refused]);
        for count in counts {
            assert!(
                *count > 0,
                "schedules in which that never happens show nothing: {self:?}"
            );
        }
    }
}
