//! As much of HTTP/1.1 as a browser on the same machine needs: GET and HEAD, one request a connection.
//!
//! Heads of requests are parsed by `httparse`; the rest is few lines. The small servers among the libraries are no longer
//! kept up, the others bring an asynchronous runtime that nothing else here needs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::failure::Failure;
use super::routes::Routes;

/// A browser's request has one or two thousand bytes.
const LARGEST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
/// A browser opens six connections to a server.
const MOST_CONNECTIONS: usize = 32;
/// A request that takes longer is not from a browser on this machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The target without its query, percent-encoded as it came.
    pub(crate) path: String,
    /// Behind the question mark.
    pub(crate) query: String,
    /// `HEAD`, whose answer has no body.
    head_only: bool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) media_type: &'static str,
    /// A content security policy, where the body does not bring its own.
    pub(crate) policy: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// An answer in words.
    pub(crate) fn words(status: &'static str, words: &str) -> Self {
        let policy = Some("default-src 'none'; frame-ancestors 'none'");
        Answer { status, media_type: "text/plain; charset=utf-8", policy, body: format!("{words}\n").into() }
    }
}

/// Answers requests until the program ends.
pub(crate) fn serve(listener: &TcpListener, routes: &Arc<Routes>) -> Result<(), Failure> {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // A client that has gone already, or no file handle left for a moment.
            Err(_) => {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        if open.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
            open.fetch_sub(1, Ordering::SeqCst);
            let _ = send(stream, &Answer::words("503 Service Unavailable", "too many connections"), false);
            continue;
        }
        let (routes, left) = (Arc::clone(routes), Arc::clone(&open));
        let handle = move || {
            let _count = Counted(left);
            // A client that goes away is no reason to stop.
            let _ = answer(stream, &routes);
        };
        if std::thread::Builder::new().spawn(handle).is_err() {
            open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// One connection, counted until it ends, in a panic too.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn answer(mut stream: TcpStream, routes: &Routes) -> std::io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let (answer, head_only) = match read_head(&mut stream).map(|head| request(&head)) {
        Ok(Ok(request)) => (routes.answer(&request), request.head_only),
        Ok(Err(refusal)) => (refusal, false),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            (Answer::words("431 Request Header Fields Too Large", "the request is too long"), false)
        }
        Err(error) => return Err(error),
    };
    send(stream, &answer, head_only)
}

/// Reads up to the empty line.
fn read_head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let started = Instant::now();
    let (mut head, mut buffer) = (Vec::new(), [0; 2048]);
    loop {
        let left = PATIENCE.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&buffer[..read]);
        if head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            return Ok(head);
        }
        if head.len() > LARGEST_HEAD {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
    }
}

/// What the head of a request asks for; or why it is refused.
fn request(head: &[u8]) -> Result<Request, Answer> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    if !matches!(parsed.parse(head), Ok(httparse::Status::Complete(_))) {
        return Err(Answer::words("400 Bad Request", "this is no request of HTTP/1.1"));
    }
    let hosts: Vec<&[u8]> = (parsed.headers.iter())
        .filter(|header| header.name.eq_ignore_ascii_case("host"))
        .map(|header| header.value)
        .collect();
    // A page elsewhere whose name was made to point here sends its own name: its scripts must not read the answers.
    match hosts[..] {
        [host] if is_this_machine(host) => {}
        _ => {
            let words = "deltaloss view answers only to this machine's own names: open it as http://127.0.0.1 or http://localhost";
            return Err(Answer::words("403 Forbidden", words));
        }
    }
    let head_only = match parsed.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(Answer::words("405 Method Not Allowed", "only GET and HEAD are answered")),
    };
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Request { path: path.to_owned(), query: query.to_owned(), head_only })
}

/// Whether a host header names this machine, whatever the port (one may be forwarded from another).
fn is_this_machine(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok());
    port_is_one && ["127.0.0.1", "localhost", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

fn send(mut stream: TcpStream, answer: &Answer, head_only: bool) -> std::io::Result<()> {
    let policy =
        answer.policy.map(|policy| format!("Content-Security-Policy: {policy}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{policy}\
         X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.media_type,
        answer.body.len()
    );
    stream.write_all(head.as_bytes())?;
    if !head_only {
        stream.write_all(&answer.body)?;
    }
    stream.flush()?;
    // Closing with unread bytes would reset the connection and could take the answer with it.
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut rest = [0; 2048];
    for _ in 0..LARGEST_HEAD / rest.len() {
        if stream.read(&mut rest)? == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(head: &str) -> Result<Request, &'static str> {
        request(head.as_bytes()).map_err(|answer| answer.status)
    }

    #[test]
    fn only_this_machines_names_are_answered() {
        for host in ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:65535", "127.0.0.1"] {
            assert!(is_this_machine(host.as_bytes()), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.", "localhost:x", "127.0.0.2", "", "::1"]
        {
            assert!(!is_this_machine(host.as_bytes()), "{host}");
        }
        assert!(!is_this_machine(b"localhost\xff"));
        assert_eq!(asked("GET / HTTP/1.1\r\n\r\n"), Err("403 Forbidden"));
        let two = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n";
        assert_eq!(asked(two), Err("403 Forbidden"));
    }

    #[test]
    fn requests_are_taken_apart_and_others_refused() {
        let head = "GET /api/document?document=3&token=4 HTTP/1.1\r\nHost: localhost:80\r\nX: y\r\n\r\n";
        let found = asked(head).unwrap();
        assert_eq!((found.path.as_str(), found.query.as_str()), ("/api/document", "document=3&token=4"));
        assert!(asked("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap().head_only);
        let post = "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_eq!(asked(post), Err("405 Method Not Allowed"));
        assert_eq!(asked("\u{16}\u{3}\u{1}\r\n\r\n"), Err("400 Bad Request"));
        assert_eq!(asked("GET / HTTP/1.1\r\nHost: localhost\r\n"), Err("400 Bad Request"));
    }
}
