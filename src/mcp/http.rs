//! The server over HTTP, for clients on this machine that do not start it themselves.
//!
//! It listens on loopback only. Whoever calls must know the token, which is asked for before anything else of a request is
//! looked at; and a browser's page from elsewhere is turned away by its `Origin` and `Host`, token or not.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::server::Server;
use super::transport::LONGEST;
use crate::failure::{Failure, io_words};

/// Where on the server it is.
const PATH: &str = "/mcp";

/// How many connections there may be at once; more of them wait.
const MOST_CONNECTIONS: usize = 128;

/// How long a client is given for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// How many random bytes a token is made of.
const TOKEN: usize = 32;

type Body = BoxBody<Bytes, Infallible>;
type Service = StreamableHttpService<Server, LocalSessionManager>;

/// A token that nobody can guess.
///
/// # Errors
/// The system gives no random bytes.
pub fn token() -> Result<String, Failure> {
    let mut bytes = [0; TOKEN];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| Failure::failed(format!("cannot make a token: {}", io_words(&error))))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Checks that nobody from elsewhere can reach `address`.
///
/// # Errors
/// Somebody can.
pub fn check_address(address: SocketAddr) -> Result<SocketAddr, Failure> {
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(Failure::usage(format!("cannot listen on '{address}': it is not an address of this machine alone"))
        .hint("use 127.0.0.1; from elsewhere, come through ssh"))
}

/// Serves on `address` whoever knows `token`, for ever. Says first where that is, and the token if it `was_made`.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(server: Server, address: SocketAddr, token: &str, was_made: bool) -> Result<(), Failure> {
    let cannot =
        |error: io::Error| Failure::failed(format!("cannot listen on '{address}': {}", io_words(&error)));
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let ip = address.ip().to_string();
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(["localhost", "127.0.0.1", "::1", ip.as_str()])
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
        .with_max_request_body_bytes(LONGEST);
    let service: Service =
        StreamableHttpService::new(move || Ok(server.for_another()), Arc::default(), config);
    say(address, was_made.then_some(token)).map_err(cannot)?;
    let expected: Arc<str> = format!("Bearer {token}").into();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, say: it passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (service, expected) = (service.clone(), Arc::clone(&expected));
        tokio::spawn(async move {
            connection(stream, service, &expected).await;
            drop(place);
        });
    }
}

/// Says where the server is, and what the token is if nobody knows it yet.
fn say(address: SocketAddr, token: Option<&str>) -> io::Result<()> {
    let token = token.map(|token| format!("token: {token}\n")).unwrap_or_default();
    let mut out = io::stdout().lock();
    out.write_all(format!("url: http://{address}{PATH}\n{token}").as_bytes())?;
    out.flush()
}

async fn connection(stream: TcpStream, service: Service, expected: &Arc<str>) {
    let answer = |request: Request<Incoming>| {
        let (service, expected) = (service.clone(), Arc::clone(expected));
        async move { Ok::<_, Infallible>(answer(request, &service, &expected).await) }
    };
    // Whoever breaks off is told nothing more.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(request: Request<Incoming>, service: &Service, expected: &str) -> Response<Body> {
    if !is_known(request.headers(), expected) {
        let mut refused = refusal(StatusCode::UNAUTHORIZED, "the request has no token, or a wrong one");
        let scheme = hyper::header::HeaderValue::from_static("Bearer");
        refused.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        return refused;
    }
    if request.uri().path() != PATH {
        return refusal(StatusCode::NOT_FOUND, "there is nothing here; the server is at /mcp");
    }
    service.handle(request).await
}

/// Whether the request has the token. It takes the same time whatever is wrong with it.
fn is_known(headers: &HeaderMap, expected: &str) -> bool {
    let Some(given) = headers.get(AUTHORIZATION) else { return false };
    let (given, expected) = (given.as_bytes(), expected.as_bytes());
    let differs = given.iter().zip(expected).fold(0, |differs, (a, b)| differs | (a ^ b));
    given.len() == expected.len() && differs == 0
}

fn refusal(status: StatusCode, words: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from_static(words.as_bytes())).boxed());
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_to() -> Result<(), std::net::AddrParseError> {
        for good in ["127.0.0.1:0", "127.1.2.3:80", "[::1]:9"] {
            assert!(check_address(good.parse()?).is_ok(), "{good}");
        }
        for bad in ["0.0.0.0:80", "192.168.0.1:80", "[::]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(check_address(bad.parse()?).is_err(), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn tokens_are_long_and_differ() -> Result<(), Failure> {
        let (one, two) = (token()?, token()?);
        assert_eq!((one.len(), one == two), (2 * TOKEN, false));
        Ok(())
    }

    #[test]
    fn only_the_whole_token_is_one() {
        let knows = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.extend(given.parse().ok().map(|given| (AUTHORIZATION, given)));
            is_known(&headers, "Bearer abc")
        };
        assert!(knows("Bearer abc"));
        for wrong in ["", "Bearer ", "Bearer ab", "Bearer abcd", "Bearer abd", "abc", "Basic abc"] {
            assert!(!knows(wrong), "{wrong}");
        }
        assert!(!is_known(&HeaderMap::new(), "Bearer abc"));
    }
}
