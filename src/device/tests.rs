//! The client against a small server of its own that answers what each test says and keeps what it was asked.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::json;

use super::*;
use crate::failure::{Explain, FailureKind};

type Answer = Box<dyn FnMut(&str) -> Vec<u8> + Send>;

struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers each request with what `answer` makes of its head and body.
    fn start(mut answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let request = read_request(&mut BufReader::new(&stream));
                kept.lock().expect("the list").push(request.clone());
                // A client that had enough hangs up early, and so it should.
                let _ = stream.write_all(&answer(&request));
            }
        });
        Self { port, requests }
    }

    fn client(&self) -> ConfigurationInterface {
        ConfigurationInterface::new("127.0.0.1", self.port)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("the list").clone()
    }
}

fn read_request(reader: &mut impl BufRead) -> String {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).expect("a head") > 0 {
        let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
        length = line.strip_prefix("content-length:").map_or(length, |rest| rest.trim().parse().expect("a length"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    head + &String::from_utf8(body).expect("UTF-8")
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

fn string(text: &str) -> Vec<u8> {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    http(
        "200 OK",
        &format!("<methodResponse><params><param><value><string>{escaped}</string></value></param></params></methodResponse>"),
    )
}

fn fault(code: i32, text: &str) -> Vec<u8> {
    http(
        "200 OK",
        &format!(
            "<methodResponse><fault><value><struct><member><name>faultCode</name><value><i4>{code}</i4></value></member>\
             <member><name>faultString</name><value><string>{text}</string></value></member></struct></value></fault></methodResponse>"
        ),
    )
}

/// Returns a server that always gives the same answer.
fn always(answer: Vec<u8>) -> Server {
    Server::start(Box::new(move |_| answer.clone()))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

const INFO: &str = r#"{"device":{"info":{"name":"bay \u001b[31m3","serialNumber":"000201234567","partNumber":"M03975"},
    "swVersion":{"firmware":"1.4.30-4711"},"status":"OPERATE"}}"#;

#[test]
fn the_identity_is_asked_in_one_request_and_cannot_steer_a_terminal() {
    let server = always(string(INFO));
    let identity = run(server.client().identity()).expect("an identity");
    assert_eq!(identity.serial, "000201234567");
    assert_eq!(identity.name, "bay [31m3");
    assert_eq!(identity.firmware, Firmware::new("1.4.30"));
    assert_eq!((identity.status.as_str(), identity.article.as_deref()), ("OPERATE", Some("M03975")));
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("POST /api/rpc/v1/com.ifm.efector/ HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].to_ascii_lowercase().contains("content-type: text/xml\r\n"), "{}", requests[0]);
}

#[test]
fn a_name_is_set_saved_by_its_pointer_and_read_back() {
    let name = "bay 3 <&> \"ü\"";
    let told = json!({ "device": { "info": { "name": name } } }).to_string();
    let server = Server::start(Box::new(move |request| if request.contains(">get<") { string(&told) } else { string("") }));
    run(server.client().set_name(name)).expect("a name");
    let requests = server.requests();
    let methods: Vec<_> = requests.iter().filter_map(|request| request.split(['<', '>']).nth(6)).collect();
    assert_eq!(methods, ["set", "saveInit", "get"]);
    assert!(
        requests[1].contains("<array><data><value><string>/device/info/name</string></value></data></array>"),
        "{}",
        requests[1]
    );
}

#[test]
fn a_name_that_the_device_does_not_keep_is_an_error() {
    let server = always(string(r#"{"device":{"info":{"name":"old"}}}"#));
    let error = run(server.client().set_name("new")).expect_err("not taken");
    assert_eq!(error.to_string(), "`/device/info/name` was set to `new`, but the device says `old`");
}

#[test]
fn keys_are_set_and_read_back() {
    let server = always(string(r#"{"device":{"network":{"authorized_keys":"ssh-ed25519 AAAA a\nssh-ed25519 BBBB b"}}}"#));
    run(server.client().set_authorized_keys("ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n", None)).expect("keys");
    assert_eq!(run(server.client().authorized_keys()).expect("keys").lines().count(), 2);
}

#[test]
fn a_fault_is_named_and_has_a_way_out() {
    let server = always(fault(101_005, "nope"));
    let error = run(server.client().set(&json!({}))).expect_err("a fault");
    assert_eq!(error.to_string(), "the configuration interface refused `set`: password needed (code 101005): nope");
    assert_eq!(error.kind(), FailureKind::ConfigurationInterface);
    assert!(error.hint().is_some());
}

#[test]
fn trace_logs_are_lines() {
    let server = always(http(
        "200 OK",
        "<methodResponse><params><param><value><array><data><value><string>one</string></value><value>two</value></data></array>\
         </value></param></params></methodResponse>",
    ));
    assert_eq!(run(server.client().trace_logs(2)).expect("lines"), ["one", "two"]);
}

#[test]
fn a_service_report_is_fetched_or_missed() {
    assert_eq!(run(always(http("200 OK", "PK..")).client().service_report()).expect("a report"), b"PK..");
    let error = run(always(http("404 Not Found", "")).client().service_report()).expect_err("none");
    assert!(error.to_string().ends_with("HTTP status 404 Not Found"), "{error}");
}

#[test]
fn who_is_no_device_is_told_so() {
    for answer in [http("200 OK", "<html>it works</html>"), http("200 OK", ""), string("no JSON"), b"SSH-2.0-x\r\n".to_vec()] {
        let error = run(always(answer).client().get(&[])).expect_err("no answer");
        assert!(matches!(error, InterfaceError::NotAnAnswer { .. }), "{error}");
    }
}

#[test]
fn redirects_are_not_followed() {
    let server = always(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    );
    let error = run(server.client().get(&[])).expect_err("a redirect");
    assert!(error.to_string().contains("302"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let server = always(http("200 OK", &"x".repeat(9 << 20)));
    let error = run(server.client().get(&[])).expect_err("too much");
    assert!(matches!(error, InterfaceError::NotAnAnswer { .. }), "{error}");
}

#[test]
fn nobody_there_and_nobody_answering_are_both_soon_noticed() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let error = run(ConfigurationInterface::new("127.0.0.1", free).get(&[])).expect_err("nobody");
    assert!(matches!(error, InterfaceError::Unreachable { .. }), "{error}");

    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let begun = Instant::now();
    let error = run(ConfigurationInterface::new("127.0.0.1", port).get(&[])).expect_err("silence");
    assert!(matches!(error, InterfaceError::Unreachable { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn readiness_is_waited_for_and_given_up_at_the_deadline() {
    let mut asked = 0;
    let server = Server::start(Box::new(move |_| {
        asked += 1;
        string(&json!({ "device": { "status": if asked > 1 { "OPERATE" } else { "INIT" } } }).to_string())
    }));
    let soon = || tokio::time::Instant::now() + Duration::from_secs(20);
    run(async { server.client().wait_until_ready(soon()).await }).expect("ready");
    assert_eq!(server.requests().len(), 2);

    let server = always(string(r#"{"device":{"status":"INIT"}}"#));
    let error = run(async { server.client().wait_until_ready(tokio::time::Instant::now()).await }).expect_err("not ready");
    assert_eq!(error.to_string(), "the device was not ready in time: its status is `INIT`");
}
