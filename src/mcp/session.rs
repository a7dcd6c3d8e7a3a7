//! What a client is told without having asked: how far a task is while a call waits, lines of stderr, and that a resource it
//! has subscribed to has changed. Of before 2026-07-28 there are other methods for some of that; both are spoken.
#![expect(deprecated, reason = "clients of before 2026-07-28 have no other way")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::{
    LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion,
    ResourceUpdatedNotificationParam,
};
use rmcp::service::{Peer, RequestContext, RoleServer, SubscriptionContext};
use serde_json::Value;

use super::resources::{Seen, Target};
use super::wait::Word;
use crate::failure::Failure;

/// How many resources a client can subscribe to.
const MOST_SUBSCRIBED: usize = 64;

/// How often those are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a line of stderr is said to be.
const STDERR: LoggingLevel = LoggingLevel::Warning;

/// What one client has asked for.
#[derive(Debug, Default)]
pub struct Session {
    level: Mutex<Option<LoggingLevel>>,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    seen: HashMap<String, (Target, Seen)>,
    /// Somebody looks at them.
    is_watched: bool,
}

impl Session {
    /// Sets from which level on the client wants to be told.
    pub fn set_level(&self, level: LoggingLevel) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
    }

    /// Tells the client of `context` something about the task that its call is about.
    pub async fn tell(&self, word: Word, context: &RequestContext<RoleServer>) {
        // A client that is gone, or does not take it, misses it.
        match word {
            Word::Progress { done, total, message } => {
                let Some(token) = context.meta.get_progress_token() else { return };
                let mut progress = ProgressNotificationParam::new(token, done).with_message(message);
                progress.total = total;
                let _ = context.peer.notify_progress(progress).await;
            }
            Word::Log(line) => {
                if self.wants_logs(context) {
                    let log =
                        LoggingMessageNotificationParam::new(STDERR, Value::from(line)).with_logger("stderr");
                    let _ = context.peer.notify_logging_message(log).await;
                }
            }
        }
    }

    fn wants_logs(&self, context: &RequestContext<RoleServer>) -> bool {
        let is_new = context
            .protocol_version()
            .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str());
        let level = if is_new {
            // It says so with each call, or wants none.
            let Some(level) = context.meta.log_level() else { return false };
            level
        } else {
            self.level.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(LoggingLevel::Debug)
        };
        level as u8 <= STDERR as u8
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells `peer` from now on when the resource at `address` changes.
    ///
    /// # Errors
    /// There are too many already.
    pub fn subscribe(
        self: &Arc<Self>,
        address: String,
        target: Target,
        peer: Peer<RoleServer>,
    ) -> Result<(), Failure> {
        let mut watched = self.watched();
        if watched.seen.len() >= MOST_SUBSCRIBED && !watched.seen.contains_key(&address) {
            return Err(Failure::failed(format!(
                "a client can subscribe to {MOST_SUBSCRIBED} resources, and no more"
            )));
        }
        let seen = target.look();
        watched.seen.insert(address, (target, seen));
        if !std::mem::replace(&mut watched.is_watched, true) {
            tokio::spawn(Arc::clone(self).watch(peer));
        }
        Ok(())
    }

    /// Does not tell of it any more.
    pub fn unsubscribe(&self, address: &str) {
        self.watched().seen.remove(address);
    }

    async fn watch(self: Arc<Self>, peer: Peer<RoleServer>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let changed = {
                let mut watched = self.watched();
                if watched.seen.is_empty() || peer.is_transport_closed() {
                    watched.is_watched = false;
                    return;
                }
                changed(&mut watched.seen)
            };
            for address in changed {
                let _ = peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(address)).await;
            }
        }
    }
}

/// The addresses of those that have changed since they were last looked at.
fn changed(watched: &mut HashMap<String, (Target, Seen)>) -> Vec<String> {
    let look = |(address, (target, seen)): (&String, &mut (Target, Seen))| {
        let now = target.look();
        (std::mem::replace(seen, now) != now).then(|| address.clone())
    };
    watched.iter_mut().filter_map(look).collect()
}

/// The addresses among `wanted` that can be listened to.
#[must_use]
pub fn can_be_heard(wanted: &[String]) -> Vec<String> {
    wanted.iter().filter(|address| Target::at(address).is_some()).take(MOST_SUBSCRIBED).cloned().collect()
}

/// Tells a client of 2026-07-28 when what it listens to changes, until it has heard enough.
pub async fn listen(context: &SubscriptionContext) {
    let wanted = context.accepted().resource_subscriptions.clone().unwrap_or_default();
    let mut watched = HashMap::new();
    for address in wanted {
        // It has been told that it is listened to, and what has changed since then nobody saw: the first look is a change.
        if let Some(target) = Target::at(&address) {
            watched.insert(address, (target, None));
        }
    }
    loop {
        for address in changed(&mut watched) {
            if context.sink().notify_resource_updated(address).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = context.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
