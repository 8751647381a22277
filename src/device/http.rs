//! HTTP to the device: one request, no redirects, no proxy, an answer bounded in size and time.

use std::time::Duration;

use ureq::{Agent, Body, config::Config, http::Response};

/// The limits of a request: its total time, and the size of its answer in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    time: Duration,
    bytes: u64,
}

impl Limits {
    /// The limits of requests that only read: ifm's own clients wait 3 s.
    pub(super) const QUICK: Self = Self { time: Duration::from_secs(3), bytes: 8 << 20 };
    /// The limits of requests that write: ifm's own clients wait 15 s.
    pub(super) const SLOW: Self = Self { time: Duration::from_secs(15), bytes: 8 << 20 };
    /// The service report, which the device packs on demand.
    pub(super) const REPORT: Self = Self { time: Duration::from_secs(120), bytes: 64 << 20 };
}

/// The kind and the path of a request.
#[derive(Debug)]
pub(super) enum Request {
    /// A document at this path.
    Get(&'static str),
    /// XML sent to this path.
    Post(&'static str, String),
}

/// Why there is no body.
#[derive(Debug)]
pub(super) enum Problem {
    /// Nobody answered.
    NoConnection(String),
    /// Somebody answered, but not with a document.
    NoAnswer(String),
}

/// Creates the HTTP client: the device is always reached directly, whatever proxies the environment names.
pub(super) fn agent() -> Agent {
    Config::builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("o3r-deploy/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// Sends a request and reads the answer; blocks.
pub(super) fn run(agent: &Agent, authority: &str, request: Request, limits: Limits) -> Result<Vec<u8>, Problem> {
    let time = Some(limits.time);
    let answer = match request {
        Request::Get(path) => agent.get(format!("http://{authority}{path}")).config().timeout_global(time).build().call(),
        Request::Post(path, body) => agent
            .post(format!("http://{authority}{path}"))
            .config()
            .timeout_global(time)
            .build()
            .header("Content-Type", "text/xml")
            .send(body),
    };
    answer.map_err(problem).and_then(|response| body(response, limits))
}

fn body(mut response: Response<Body>, limits: Limits) -> Result<Vec<u8>, Problem> {
    if response.status() != 200 {
        return Err(Problem::NoAnswer(format!("HTTP status {}", response.status())));
    }
    response.body_mut().with_config().limit(limits.bytes).read_to_vec().map_err(problem)
}

fn problem(error: ureq::Error) -> Problem {
    match error {
        ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::BodyExceedsLimit(_) => {
            Problem::NoAnswer(error.to_string())
        }
        // What the operating system said, without a word of where in this program it was heard.
        ureq::Error::Io(error) => Problem::NoConnection(error.to_string()),
        _ => Problem::NoConnection(error.to_string()),
    }
}
