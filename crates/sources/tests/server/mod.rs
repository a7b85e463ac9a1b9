//! A server on loopback that answers what a test tells it to, byte for byte.

#![allow(dead_code, reason = "shared by tests that need parts of it")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// How many requests of this path came before.
    pub(crate) nth: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte asked for.
    pub(crate) fn start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What is written before the connection is closed.
pub(crate) type Reply = Vec<u8>;

/// A server that lives as long as the process.
pub(crate) struct Server {
    pub(crate) address: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers every request with what `answer` gives.
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, answer.as_ref(), &log));
            }
        });
        Server { address, log: kept }
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// Those of a path.
    pub(crate) fn of(&self, path: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path == path).collect()
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Reply, log: &Mutex<Vec<Request>>) {
    let Some(mut request) = read(&mut stream) else { return };
    {
        let mut log = log.lock().unwrap();
        request.nth = log.iter().filter(|before| before.path == request.path).count();
        log.push(request.clone());
    }
    let _ = stream.write_all(&answer(&request));
    let _ = stream.shutdown(std::net::Shutdown::Write);
    // What the other side still says is heard, so that it is not cut off with a reset.
    let _ = stream.read_to_end(&mut Vec::new());
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let text = String::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Some(Request { method, path, headers, nth: 0 })
}

/// An answer of a status, with headers and a body; the length is given only if it is among the headers.
pub(crate) fn raw(status: &str, headers: &[(&str, String)], body: &[u8]) -> Reply {
    let mut reply = format!("HTTP/1.1 {status}\r\nConnection: close\r\n").into_bytes();
    for (name, value) in headers {
        reply.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    reply.extend(b"\r\n");
    reply.extend(body);
    reply
}

/// A whole answer.
pub(crate) fn whole(body: &[u8]) -> Reply {
    raw("200 OK", &[("Content-Length", body.len().to_string())], body)
}

/// An answer without a body.
pub(crate) fn status(status: &str) -> Reply {
    raw(status, &[("Content-Length", "0".into())], b"")
}

/// What a good server of a file of this content and this ETag answers.
pub(crate) fn good(request: &Request, content: &[u8], etag: Option<&str>) -> Reply {
    let mut headers: Vec<(&str, String)> = etag.iter().map(|etag| ("ETag", (*etag).to_owned())).collect();
    let same = request.header("if-range").is_none_or(|asked| Some(asked) == etag);
    match request.start().filter(|_| same) {
        Some(start) if start < content.len() => {
            let body = &content[start..];
            headers.push(("Content-Length", body.len().to_string()));
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            headers.push(("Content-Range", range));
            raw("206 Partial Content", &headers, body)
        }
        Some(_) => status("416 Range Not Satisfiable"),
        None => {
            headers.push(("Content-Length", content.len().to_string()));
            raw("200 OK", &headers, content)
        }
    }
}

/// The same, cut `bytes` into its body.
pub(crate) fn cut(reply: &[u8], bytes: usize) -> Reply {
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    reply[..reply.len().min(end + bytes)].to_vec()
}
