//! What can happen in a schedule.

use super::*;

/// What somebody does at some time.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Writes(Kind),
    Leaves,
    Invites,
    Pages,
    LinkBreaks,
    /// The SIP user's client starts anew and knows nothing of before.
    RomeoRestarts,
    ShutsDown,
    Abandons,
    /// Something of one session.
    Chat(ChatId, Step),
    PageAnswered(usize, PageReply),
    ServerTakes(Token),
    ServerLoses(Token),
    Bounces(String, usize),
}

/// What the SIP user's side does in one session.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Answers(Reply),
    Withdraws,
    Acknowledges(bool),
    Connects,
    FailsToConnect,
    Says,
    Takes(Token, usize),
    Accepts(Token, usize),
    Refuses(Token, u16),
    StaysSilent(Token),
    Reports(Token, usize),
    /// The connection is cut; whoever is told of it hears so later.
    WireBreaks,
    WireIsMissed,
    HangsUp,
    RemovesStream,
    /// The answer to juliet's re-INVITE after the connection was lost.
    Renews,
    RefusesToRenew,
    /// He goes on another connection, or holds and resumes this one.
    Moves,
    Turns(Listening),
}

/// Final answers to INVITE.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Takes,
    TakesWithout(Unusable),
    Refuses(u16),
    Fails(Failure),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum PageReply {
    Takes,
    Refuses(u16),
    Fails,
}
