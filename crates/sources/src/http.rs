//! Asking a server, and asking again.

use std::io::Read;
use std::time::Duration;

use ureq::http::{Response, Uri, header};
use ureq::{Agent, Body};

use crate::error::SourceError;
use crate::store::Download;

/// Tries without progress before a download is given up.
pub(crate) const TRIES: u32 = 6;
/// The longest that a server can make us wait at a time.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// The server's word for a range that it does not have.
pub(crate) const NO_RANGE: &str = "the server has no such range (416)";
/// What is said when there is no answer at all.
const UNREACHABLE: &str = "cannot be reached";
/// How many redirects are followed.
const REDIRECTS: u32 = 10;
/// No answer for so long is a broken connection.
const SILENCE: Duration = Duration::from_secs(60);
/// How long one answer may take to arrive; what is there by then is kept.
const LONGEST_ANSWER_TIME: Duration = Duration::from_secs(15 * 60);
/// Answers that are read into memory: lists of a repository's files.
const LARGEST_ANSWER: u64 = 64 << 20;

/// Hears how a download goes on; answers whether to go on.
pub(crate) type Listener<'a> = dyn FnMut(Download<'_>) -> bool + 'a;

/// The client: its connections, who asks, and how long it waits before asking again.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    first_wait: Duration,
}

/// Why an answer is none.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Worth asking again, perhaps after the time that the server gave.
    Passing { problem: String, wait: Option<Duration> },
    /// Not worth it.
    Final(SourceError),
}

impl Client {
    /// Waits `first_wait` before a second try, twice as long before each further one.
    pub(crate) fn new(first_wait: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed by ourselves: a token is for the server that was named, not for the one that it sends us to.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(SILENCE))
            // There is no timeout between bytes: a connection that fell silent ends here, and is gone on with.
            .timeout_recv_body(Some(LONGEST_ANSWER_TIME))
            .user_agent(concat!("deltaloss/", env!("CARGO_PKG_VERSION")))
            // Bytes are to be those of the file: no compression on the way.
            .accept_encoding("identity")
            .build();
        Client { agent: config.into(), first_wait }
    }

    /// Asks once, and follows redirects. The answer has a status of 2xx. The token goes to no other host, port or scheme than the
    /// address's own, and who starts with encryption is not led out of it.
    pub(crate) fn get(
        &self,
        address: &str,
        token: Option<&str>,
        headers: &[(&str, String)],
    ) -> Result<Response<Body>, Trouble> {
        let stop = |problem: String| Trouble::Final(failed(address, problem));
        let mut at: Uri = address.parse().map_err(|error| stop(format!("no address: {error}")))?;
        let first = origin(&at);
        for _ in 0..=REDIRECTS {
            let mut request = self.agent.get(&at);
            if let Some(token) = token.filter(|_| origin(&at) == first) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let response = request.call().map_err(|error| explain(address, &error))?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return judge(address, response);
            }
            let location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            let next = location.and_then(|to| follow(&at, to));
            let next = next.ok_or_else(|| stop(format!("the server redirects ({status}) to no address")))?;
            if at.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(stop(format!("it redirects to {next}, which is not encrypted")));
            }
            at = next;
        }
        Err(stop(format!("it redirects more than {REDIRECTS} times")))
    }

    /// Asks for something small, again and again where that may help.
    pub(crate) fn get_small(
        &self,
        address: &str,
        token: Option<&str>,
        listener: &mut Listener<'_>,
    ) -> Result<Vec<u8>, SourceError> {
        let mut tries = 0;
        loop {
            let outcome = self.get(address, token, &[]).and_then(|response| {
                let mut bytes = Vec::new();
                let mut reader = response.into_body().into_reader().take(LARGEST_ANSWER + 1);
                match reader.read_to_end(&mut bytes) {
                    Ok(_) if bytes.len() as u64 > LARGEST_ANSWER => {
                        Err(Trouble::Final(failed(address, "the answer does not end".into())))
                    }
                    Ok(_) => Ok(bytes),
                    Err(error) => Err(Trouble::Passing { problem: broken(&error), wait: None }),
                }
            });
            tries += 1;
            match outcome {
                Ok(bytes) => return Ok(bytes),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing { problem, .. }) if tries >= TRIES => {
                    return Err(failed(address, given_up(&problem)));
                }
                Err(Trouble::Passing { problem, wait }) => {
                    let download =
                        Download { name: address, done_bytes: 0, total_bytes: None, trouble: None };
                    self.wait((tries, wait), &problem, download, listener)?;
                }
            }
        }
    }

    /// Waits before another try: as long as the server asks for, within reason, or longer each time. The listener hears why.
    pub(crate) fn wait(
        &self,
        (tries, asked): (u32, Option<Duration>),
        problem: &str,
        download: Download<'_>,
        listener: &mut Listener<'_>,
    ) -> Result<(), SourceError> {
        let own = self.first_wait.saturating_mul(1 << tries.min(16).saturating_sub(1));
        let wait = asked.unwrap_or(own).min(LONGEST_WAIT);
        let trouble = format!("{problem}; asked again in {:.0} s ({tries} of {TRIES})", wait.as_secs_f64());
        if !listener(Download { trouble: Some(&trouble), ..download }) {
            return Err(SourceError::Interrupted);
        }
        std::thread::sleep(wait);
        Ok(())
    }
}

/// What is said when it was tried often enough.
pub(crate) fn given_up(problem: &str) -> String {
    let hint = match problem.starts_with(UNREACHABLE) {
        true => {
            ". Check the network and the proxy that it may need (HTTPS_PROXY); --offline uses what is in the cache"
        }
        false => "",
    };
    format!("{problem}; given up after {TRIES} tries without progress{hint}")
}

/// A connection that ended in the middle.
pub(crate) fn broken(error: &std::io::Error) -> String {
    format!("the connection broke: {error}")
}

pub(crate) fn failed(address: &str, problem: String) -> SourceError {
    SourceError::Failed { address: address.to_owned(), problem, kept: String::new() }
}

/// Takes an answer of 2xx, and says what another means.
fn judge(address: &str, response: Response<Body>) -> Result<Response<Body>, Trouble> {
    let status = response.status().as_u16();
    let final_error = |error| Err(Trouble::Final(error));
    match status {
        200..=299 => Ok(response),
        404 | 410 => final_error(SourceError::NotFound { address: address.to_owned(), status, hint: "" }),
        401 | 403 => final_error(SourceError::Refused { address: address.to_owned(), status }),
        408 | 429 | 500 | 502 | 503 | 504 => {
            let wait = response.headers().get(header::RETRY_AFTER);
            let seconds = wait.and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
            let problem = format!("the server answers {status}");
            Err(Trouble::Passing { problem, wait: seconds.map(Duration::from_secs) })
        }
        416 => Err(Trouble::Passing { problem: NO_RANGE.into(), wait: None }),
        _ => final_error(failed(address, format!("the server answers {status}"))),
    }
}

/// Scheme, host and port.
fn origin(address: &Uri) -> (String, String, u16) {
    let scheme = address.scheme_str().unwrap_or_default().to_lowercase();
    let port = address.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    (scheme, address.host().unwrap_or_default().to_lowercase(), port)
}

/// Where a redirect leads from an address; nothing for what is no address of the web.
fn follow(from: &Uri, to: &str) -> Option<Uri> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let whole = if to.contains("://") {
        to.to_owned()
    } else if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        format!("{scheme}://{authority}{to}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{to}")
    };
    let next: Uri = whole.split('#').next()?.parse().ok()?;
    matches!(next.scheme_str(), Some("http" | "https")).then_some(next).filter(|next| next.host().is_some())
}

fn explain(address: &str, error: &ureq::Error) -> Trouble {
    use ureq::Error;
    match error {
        Error::BadUri(what) => Trouble::Final(failed(address, format!("no address: {what}"))),
        Error::InvalidProxyUrl => {
            Trouble::Final(failed(address, "the proxy of the environment is no address".into()))
        }
        error => Trouble::Passing { problem: format!("{UNREACHABLE}: {error}"), wait: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let from: Uri = "https://hub:8443/a/b?c".parse().unwrap();
        let to = |to: &str| follow(&from, to).map(|to| to.to_string());
        assert_eq!(to("https://other/x?y").as_deref(), Some("https://other/x?y"));
        assert_eq!(to("//other/x").as_deref(), Some("https://other/x"));
        assert_eq!(to("/x#part").as_deref(), Some("https://hub:8443/x"));
        assert_eq!(to("x").as_deref(), Some("https://hub:8443/a/x"));
        for nowhere in ["file:///etc/passwd", "ftp://x/y", "http://", "https://a b/"] {
            assert_eq!(to(nowhere), None, "{nowhere}");
        }
        let of = |address: &str| origin(&address.parse().unwrap());
        assert_eq!(of("https://Hub/x"), of("https://hub:443/y"));
        assert_ne!(of("https://hub/"), of("http://hub/"));
        assert_ne!(of("http://hub:1/"), of("http://hub:2/"));
    }
}
