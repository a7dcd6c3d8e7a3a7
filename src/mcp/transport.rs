//! Messages on stdin and stdout, one a line.
//!
//! What is no message is answered with an error instead of being passed over. Nothing a client sends makes the server keep
//! more than [`LONGEST`] bytes of it: of a longer line only what tells its id is kept. While so many answers are
//! outstanding that they could fill the memory, nothing more is read: the pipe holds the client up.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{ClientNotification, ErrorData, JsonRpcMessage, RequestId};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The longest message that is taken, in bytes.
pub const LONGEST: usize = 1 << 20;

/// How much of the end of a message that is too long is kept, to find its id.
const END: usize = 256;

/// How many requests may be under way before no more are read.
const MOST_OUTSTANDING: usize = 128;

/// The two streams.
pub struct Lines<R, W> {
    read: BufReader<R>,
    line: Vec<u8>,
    /// How long the line is so far, where it is too long to be kept.
    passed: usize,
    /// Whether a request has come: before, there is nothing to notify of.
    begun: bool,
    out: Arc<tokio::sync::Mutex<W>>,
    outstanding: Arc<Outstanding>,
    /// A refusal that is being written.
    refusing: Option<JoinHandle<()>>,
}

/// The requests that have not been answered yet.
#[derive(Default)]
struct Outstanding {
    ids: Mutex<HashSet<RequestId>>,
    answered: Notify,
}

impl Outstanding {
    fn with<T>(&self, look: impl FnOnce(&mut HashSet<RequestId>) -> T) -> T {
        look(&mut self.ids.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn remove(&self, id: &RequestId) {
        if self.with(|ids| ids.remove(id)) {
            self.answered.notify_one();
        }
    }
}

/// What a client is told whose message is none, and which one that was, if it says so.
type Refusal = (ErrorData, Option<RequestId>);

/// What was read.
enum Read {
    /// A line is complete.
    Line,
    /// A line is complete that is too long.
    TooLong(usize),
    /// There is no more.
    End,
}

impl<R: AsyncRead + Unpin, W> Lines<R, W> {
    /// Messages from `read` and to `write`.
    pub fn new(read: R, write: W) -> Self {
        Self {
            read: BufReader::new(read),
            line: Vec::new(),
            passed: 0,
            begun: false,
            out: Arc::new(tokio::sync::Mutex::new(write)),
            outstanding: Arc::default(),
            refusing: None,
        }
    }

    /// Reads on. What has been read of a line is kept if this is given up in between.
    async fn read_line(&mut self) -> io::Result<Read> {
        loop {
            let available = self.read.fill_buf().await?;
            if available.is_empty() {
                return Ok(Read::End);
            }
            let newline = memchr::memchr(b'\n', available);
            let piece = &available[..newline.unwrap_or(available.len())];
            if self.passed > 0 || self.line.len() + piece.len() > LONGEST {
                self.passed = self.passed.max(self.line.len()) + piece.len();
                self.line.extend_from_slice(&piece[piece.len().saturating_sub(END)..]);
                self.line.drain(..self.line.len().saturating_sub(END));
                self.line.shrink_to(4096);
            } else {
                self.line.extend_from_slice(piece);
            }
            let taken = newline.map_or(available.len(), |at| at + 1);
            self.read.consume(taken);
            if newline.is_some() {
                return Ok(match std::mem::take(&mut self.passed) {
                    0 => Read::Line,
                    length => Read::TooLong(length),
                });
            }
        }
    }

    /// The message in the line; an error for the client where there is none. `None` if there is nothing to say to it.
    fn message(&mut self) -> Option<Result<RxJsonRpcMessage<RoleServer>, Refusal>> {
        let line = std::mem::take(&mut self.line);
        if line.trim_ascii().is_empty() {
            return None;
        }
        let value: Value = match serde_json::from_slice(&line) {
            Ok(value) => value,
            Err(error) => {
                let words = format!("this is not JSON: {error}");
                return Some(Err((ErrorData::parse_error(words, None), None)));
            }
        };
        drop(line);
        let id = value.get("id").and_then(id_of);
        let is_notification = value.get("method").is_some() && value.get("id").is_none();
        match serde_json::from_value(value) {
            Ok(message) => Some(Ok(message)),
            // Nobody waits for an answer to it.
            Err(_) if is_notification => None,
            Err(_) => {
                let words = "this is not a JSON-RPC 2.0 message of the Model Context Protocol";
                Some(Err((ErrorData::invalid_request(words, None), id)))
            }
        }
    }

    /// The id of a message of which only the end is there.
    fn id_at_end(&mut self) -> Option<RequestId> {
        let end = std::mem::take(&mut self.line);
        let end = String::from_utf8_lossy(&end);
        let (_, id) = end.rsplit_once("\"id\":")?;
        let id = id.trim().strip_suffix('}')?;
        id_of(&serde_json::from_str(id).ok()?)
    }
}

fn id_of(value: &Value) -> Option<RequestId> {
    match value {
        Value::String(text) => Some(RequestId::String(text.as_str().into())),
        value => value.as_i64().map(RequestId::Number),
    }
}

/// Writes a message whole, or fails.
async fn write<W: AsyncWrite + Unpin>(
    out: &tokio::sync::Mutex<W>,
    message: &TxJsonRpcMessage<RoleServer>,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut out = out.lock().await;
    out.write_all(&line).await?;
    out.flush().await
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (out, outstanding) = (Arc::clone(&self.out), Arc::clone(&self.outstanding));
        async move {
            let done = write(&out, &message).await;
            match &message {
                JsonRpcMessage::Response(response) => outstanding.remove(&response.id),
                JsonRpcMessage::Error(error) => error.id.iter().for_each(|id| outstanding.remove(id)),
                _ => {}
            }
            done
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(refusing) = &mut self.refusing {
                // On its own, since this may be given up at any moment and half a message must not be.
                let _ = refusing.await;
                self.refusing = None;
            }
            while self.outstanding.with(|ids| ids.len()) >= MOST_OUTSTANDING {
                self.outstanding.answered.notified().await;
            }
            let refused = match self.read_line().await.ok()? {
                Read::End => return None,
                Read::TooLong(length) => {
                    let words = format!("a message has at most {LONGEST} bytes, and this one has {length}");
                    let id = self.id_at_end();
                    (ErrorData::invalid_request(words, None), id)
                }
                Read::Line => match self.message() {
                    None => continue,
                    Some(Err(refused)) => refused,
                    Some(Ok(message)) => {
                        match &message {
                            JsonRpcMessage::Request(request) => {
                                self.begun = true;
                                let id = request.id.clone();
                                self.outstanding.with(|ids| ids.insert(id));
                            }
                            JsonRpcMessage::Notification(notification) => {
                                // It is not answered any more.
                                if let ClientNotification::CancelledNotification(cancelled) =
                                    &notification.notification
                                {
                                    cancelled
                                        .params
                                        .request_id
                                        .iter()
                                        .for_each(|id| self.outstanding.remove(id));
                                }
                            }
                            _ => {}
                        }
                        if self.begun {
                            return Some(message);
                        }
                        continue;
                    }
                },
            };
            let out = Arc::clone(&self.out);
            self.refusing = Some(tokio::spawn(async move {
                // Whoever has closed the pipe is told nothing.
                let _ = write(&out, &JsonRpcMessage::error(refused.0, refused.1)).await;
            }));
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.out.lock().await.shutdown().await
    }
}
