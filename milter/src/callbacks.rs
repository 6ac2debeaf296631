// SPDX-License-Identifier: GPL-3.0-or-later
//! The milter protocol: the only file that names the library which speaks it.
//!
//! It turns commands into calls on a [`Session`], and what comes of a message into edits and a verdict. The verdicts are
//! accept, continue and "skip the rest of the body"; no other occurs. A client that did not authenticate is accepted at
//! MAIL, so that no more of its message is sent to us; Postfix itself, where it brings a split message back, is none.

use std::{
    ffi::{CStr, CString},
    io,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use indymilter::{
    Actions, Callbacks, Config, Context, EomContext, MacroStage, Macros, NegotiateContext,
    ProtoOpts, Status,
};
use tokio::sync::{Semaphore, watch};

use crate::{
    actions::LeadingBlank,
    copy,
    cork::{Cork, Outlet},
    listener::{Connection, Reach, Stream},
    milter::Milter,
    return_path,
    session::{Client, Limits, Next, Session, Transaction},
    treatment::{self, Channel},
};

/// What we do at end of message.
const EDITS: Actions = Actions::ADD_HEADER
    .union(Actions::CHANGE_HEADER)
    .union(Actions::DELETE_RCPT)
    .union(Actions::REPLACE_BODY);

/// What spares answers that Postfix does not wait for then.
const UNANSWERED: ProtoOpts = ProtoOpts::NOREPLY_RCPT.union(ProtoOpts::NOREPLY_HEADER);

/// The macros that we look at, by stage; Postfix sends no others then.
const MACROS: [(MacroStage, &CStr); 3] = [
    (MacroStage::Connect, c"j"),
    (
        MacroStage::Mail,
        c"{auth_authen} {auth_type} {daemon_name} {message_size_limit}",
    ),
    (MacroStage::Eom, c"i"),
];

/// Postfix's own default of `message_size_limit`.
const MTA_SIZE_UNLESS_SAID: usize = 10_240_000;

/// A listener that yields one connection and then no other: the library converses over connections that we accepted.
struct Single(Option<Cork<Stream>>);

/// One conversation's state, as the library keeps it between callbacks.
struct Conversation {
    milter: Arc<Milter>,
    outlet: Outlet,
    session: Session,
    terms: Terms,
    reach: Reach,
}

/// What was agreed on at the beginning.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// Whether the MTA takes the edits that we make. If not, we do nothing.
    has_edits: bool,
    blank: LeadingBlank,
    has_skip: bool,
    is_unanswered: bool,
}

/// Converses over one connection until the MTA leaves or `stop` becomes true; then what is in flight is finished first.
pub(crate) async fn converse(
    connection: Connection,
    milter: Arc<Milter>,
    mut stop: watch::Receiver<bool>,
) {
    let Connection {
        cork,
        outlet,
        closed,
        reach,
    } = connection;
    let end = async move {
        tokio::select! {
            _ = closed => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    };
    let config = Config {
        max_connections: Semaphore::MAX_PERMITS,
        ..Config::default()
    };
    let callbacks = callbacks(move || Conversation {
        session: Session::new(milter.limits()),
        milter: Arc::clone(&milter),
        outlet: outlet.clone(),
        terms: Terms::none(),
        reach,
    });
    if let Err(error) = indymilter::run(Single(Some(cork)), callbacks, config, end).await {
        tracing::warn!("a conversation with the MTA failed: {error}");
    }
}

fn callbacks(begin: impl Fn() -> Conversation + Send + Sync + 'static) -> Callbacks<Conversation> {
    Callbacks::new()
        .on_negotiate(move |context, actions, options| {
            let conversation = begin();
            Box::pin(async move { negotiate(context, conversation, actions, options) })
        })
        .on_mail(|context, arguments| Box::pin(async move { mail(context, &arguments) }))
        .on_rcpt(|context, arguments| Box::pin(async move { recipient(context, &arguments) }))
        .on_header(|context, name, value| Box::pin(async move { field(context, &name, &value) }))
        .on_body(|context, piece| Box::pin(async move { body(context, &piece) }))
        .on_eom(|context| Box::pin(end_of_message(context)))
        .on_abort(|context| Box::pin(async move { abort(context) }))
}

fn negotiate(
    context: &mut NegotiateContext<Conversation>,
    mut conversation: Conversation,
    actions: Actions,
    options: ProtoOpts,
) -> Status {
    conversation.terms = Terms {
        has_edits: actions.contains(EDITS),
        blank: if options.contains(ProtoOpts::LEADING_SPACE) {
            LeadingBlank::Kept
        } else {
            LeadingBlank::Dropped
        },
        has_skip: options.contains(ProtoOpts::SKIP),
        // Over TCP, Postfix's own small writes wait 40 ms for an acknowledgement where no answer carries one.
        is_unanswered: conversation.reach == Reach::SameHost && options.contains(UNANSWERED),
    };
    if !conversation.terms.has_edits {
        tracing::warn!("the MTA does not take our edits: its mail is left untouched");
    }
    context.requested_actions = EDITS & actions;
    context.requested_opts |= (ProtoOpts::SKIP | ProtoOpts::LEADING_SPACE) & options;
    if conversation.terms.is_unanswered {
        context.requested_opts |= UNANSWERED;
    }
    for (stage, names) in MACROS {
        context.requested_macros.insert(stage, names.to_owned());
    }
    context.data = Some(conversation);
    Status::Continue
}

fn mail(context: &mut Context<Conversation>, arguments: &[CString]) -> Status {
    let client = client(&context.macros);
    let mta_size = mta_size(text(&context.macros, c"{message_size_limit}").as_deref());
    let Some(conversation) = &mut context.data else {
        return Status::Accept;
    };
    conversation.outlet.clear();
    let client = if conversation.terms.has_edits {
        client
    } else {
        Client::Stranger
    };
    let sender = arguments.first().map_or(&b""[..], |first| first.as_bytes());
    conversation.session.limit(Limits {
        mta_size,
        ..conversation.milter.limits()
    });
    match conversation.session.mail(client, sender) {
        Next::Accept => Status::Accept,
        Next::Continue | Next::SkipBody => Status::Continue,
    }
}

fn recipient(context: &mut Context<Conversation>, arguments: &[CString]) -> Status {
    let (Some(conversation), Some(first)) = (&mut context.data, arguments.first()) else {
        return Status::Continue;
    };
    conversation.session.recipient(first.as_bytes());
    // Postfix tells us of no recipient that it refuses.
    if conversation.session.client() == Some(&Client::Postfix) {
        conversation.milter.return_path.walked();
    }
    conversation.terms.answer()
}

fn field(context: &mut Context<Conversation>, name: &CStr, value: &CStr) -> Status {
    let Some(conversation) = &mut context.data else {
        return Status::Continue;
    };
    let session = &mut conversation.session;
    match conversation.terms.blank {
        LeadingBlank::Kept => session.field(name.to_bytes(), value.to_bytes()),
        // Messages inside have it always.
        LeadingBlank::Dropped => session.field(name.to_bytes(), &[b" ", value.to_bytes()].concat()),
    }
    conversation.terms.answer()
}

fn body(context: &mut Context<Conversation>, piece: &[u8]) -> Status {
    let Some(conversation) = &mut context.data else {
        return Status::Continue;
    };
    match conversation.session.body(piece) {
        Next::SkipBody if conversation.terms.has_skip => Status::Skip,
        Next::Accept | Next::Continue | Next::SkipBody => Status::Continue,
    }
}

async fn end_of_message(context: &mut EomContext<Conversation>) -> Status {
    let queue_id = text(&context.macros, c"i").unwrap_or_else(|| "NOQUEUE".into());
    let Some(conversation) = &mut context.data else {
        return Status::Accept;
    };
    let Some(transaction) = conversation.session.end() else {
        return Status::Accept;
    };
    conversation.settle(transaction, queue_id).await;
    Status::Accept
}

fn abort(context: &mut Context<Conversation>) -> Status {
    if let Some(conversation) = &mut context.data {
        conversation.session.abort();
    }
    Status::Continue
}

/// Returns who the client is. Only the service that takes split messages in again bears that name.
fn client(macros: &Macros) -> Client {
    if let Some(login) = login(macros) {
        Client::Author(login)
    } else if text(macros, c"{daemon_name}").as_deref() == Some(return_path::DAEMON_NAME) {
        Client::Postfix
    } else {
        Client::Stranger
    }
}

/// Returns the largest message that the MTA takes: what it says (`milter_macro_defaults`), where 0 means any, or else what
/// Postfix takes unless told otherwise, so that what we do never costs a message.
fn mta_size(said: Option<&str>) -> Option<usize> {
    let size = said
        .and_then(|said| said.parse().ok())
        .unwrap_or(MTA_SIZE_UNLESS_SAID);
    (size > 0).then_some(size)
}

/// Returns the login, if the client authenticated. `{auth_author}`, which the client makes up, is not looked at.
fn login(macros: &Macros) -> Option<String> {
    text(macros, c"{auth_type}").filter(|kind| !kind.is_empty())?;
    text(macros, c"{auth_authen}").filter(|login| !login.is_empty())
}

fn text(macros: &Macros, name: &CStr) -> Option<String> {
    Some(macros.get(name)?.to_str().ok()?.to_owned())
}

impl Conversation {
    /// Treats a message. The edits stay in the outlet until the library writes the verdict.
    async fn settle(&self, transaction: Transaction, queue_id: String) {
        let channel = Channel {
            outlet: &self.outlet,
            blank: self.terms.blank,
        };
        match transaction.client {
            Client::Postfix => copy::treat(transaction, &queue_id, &channel, &self.milter).await,
            Client::Author(_) | Client::Stranger => {
                treatment::treat(transaction, queue_id, &channel, &self.milter).await;
            }
        }
    }
}

impl Terms {
    fn none() -> Self {
        Self {
            has_edits: false,
            blank: LeadingBlank::Dropped,
            has_skip: false,
            is_unanswered: false,
        }
    }

    fn answer(self) -> Status {
        if self.is_unanswered {
            Status::Noreply
        } else {
            Status::Continue
        }
    }
}

impl indymilter::Listener for Single {
    type Io = Cork<Stream>;

    fn poll_accept(&mut self, _context: &mut TaskContext<'_>) -> Poll<io::Result<Self::Io>> {
        self.0
            .take()
            .map_or(Poll::Pending, |cork| Poll::Ready(Ok(cork)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_of_the_mta_is_what_it_says_or_its_usual_one() {
        assert_eq!(mta_size(Some("60000000")), Some(60_000_000));
        assert_eq!(mta_size(Some("0")), None);
        assert_eq!(mta_size(Some("")), Some(10_240_000));
        assert_eq!(mta_size(None), Some(10_240_000));
    }
}
