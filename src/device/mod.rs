//! The configuration interface of the device: its name, serial number, keys and state, over XML-RPC.
//!
//! The interface is plain HTTP without a login: what it says is not proof of anything, and its answers are bounded in size,
//! depth and time. [`ConfigurationInterface`] has the device's own methods, and on top of them what a deployer wants.

use serde_json::Value;

mod error;
mod firmware;
mod http;
mod sealed;
mod verbs;
mod xml_rpc;

pub use error::{FaultCode, InterfaceError};
pub use firmware::Firmware;
pub use verbs::{DeviceIdentity, NameLimit};

use http::Limits;

/// Understands an answer in every way in which one is read.
pub(crate) fn read_answer(answer: &str) {
    let _ = xml_rpc::acknowledged(answer);
    if let Ok(value) = xml_rpc::value(answer) {
        let _ = xml_rpc::array_of_strings(&value);
    }
}

/// The port on which the configuration interface answers. In recovery mode it is 8080.
pub const PORT: u16 = 80;

/// The path to which calls are sent.
const PATH: &str = "/api/rpc/v1/com.ifm.efector/";

/// The configuration interface of one device.
#[derive(Clone, Debug)]
pub struct ConfigurationInterface {
    address: String,
    port: u16,
    agent: ureq::Agent,
}

/// A setting that may be made to outlive a reboot. The set is closed on purpose: saving without naming a setting also stores
/// the serial numbers of the camera heads, and the device then no longer boots when a head is exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The device's name.
    Name,
}

impl Saved {
    /// Returns the JSON pointer of the value.
    pub const fn pointer(self) -> &'static str {
        match self {
            Self::Name => verbs::NAME,
        }
    }
}

impl ConfigurationInterface {
    /// Takes the address (or host name) and the port, normally [`PORT`]; nothing is sent yet.
    pub fn new(address: impl Into<String>, port: u16) -> Self {
        Self { address: address.into(), port, agent: http::agent() }
    }

    /// Returns the values at these JSON pointers, with the nesting kept; the whole configuration when there are none.
    ///
    /// # Errors
    /// The device does not answer, does not know a pointer, or answers something else.
    pub async fn get(&self, pointers: &[&str]) -> Result<Value, InterfaceError> {
        self.json("get", pointers).await
    }

    /// Returns the JSON Schema of the values at these pointers.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`].
    pub async fn schema(&self, pointers: &[&str]) -> Result<Value, InterfaceError> {
        self.json("getSchema", pointers).await
    }

    /// Merges `fragment` into the configuration.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`], and a fault when the device refuses the value.
    pub async fn set(&self, fragment: &Value) -> Result<(), InterfaceError> {
        self.command("set", vec![dxr::Value::String(fragment.to_string())], Limits::SLOW).await
    }

    /// Makes a setting outlive a reboot, as it is now.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`].
    pub async fn save(&self, setting: Saved) -> Result<(), InterfaceError> {
        self.command("saveInit", vec![xml_rpc::strings(&[setting.pointer()])], Limits::SLOW).await
    }

    /// Reboots the device, which takes 80 to 200 s. Five of these without a power cycle can leave it off the network.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`].
    pub async fn reboot(&self) -> Result<(), InterfaceError> {
        self.command("reboot", Vec::new(), Limits::QUICK).await
    }

    /// Returns the last `count` lines of the device's trace log, control characters removed.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`].
    pub async fn trace_logs(&self, count: u16) -> Result<Vec<String>, InterfaceError> {
        const METHOD: &str = "getTraceLogs";
        let answer = self.call(METHOD, vec![dxr::Value::Integer(count.into())], Limits::QUICK).await?;
        let lines =
            xml_rpc::array_of_strings(&answer).ok_or_else(|| self.no_answer(METHOD, "an array of lines was expected"))?;
        Ok(lines.iter().map(|line| crate::text::printable(line)).collect())
    }

    /// Returns the service report, a zip archive; firmware 1.1.41 and later has one.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`], and when it is larger than 64 MiB or takes longer than two minutes.
    pub async fn service_report(&self) -> Result<Vec<u8>, InterfaceError> {
        self.http("service_report", http::Request::Get("/service_report/"), Limits::REPORT).await
    }

    async fn json(&self, method: &'static str, pointers: &[&str]) -> Result<Value, InterfaceError> {
        match self.call(method, vec![xml_rpc::strings(pointers)], Limits::QUICK).await? {
            dxr::Value::String(text) => serde_json::from_str(&text).map_err(|error| self.no_answer(method, &error.to_string())),
            _ => Err(self.no_answer(method, "JSON in a string was expected")),
        }
    }

    /// Calls a method whose answer means nothing.
    async fn command(&self, method: &'static str, params: Vec<dxr::Value>, limits: Limits) -> Result<(), InterfaceError> {
        let answer = self.post(method, params, limits).await?;
        xml_rpc::acknowledged(&answer).map_err(|problem| self.problem(method, problem))
    }

    async fn call(&self, method: &'static str, params: Vec<dxr::Value>, limits: Limits) -> Result<dxr::Value, InterfaceError> {
        let answer = self.post(method, params, limits).await?;
        xml_rpc::value(&answer).map_err(|problem| self.problem(method, problem))
    }

    async fn post(&self, method: &'static str, params: Vec<dxr::Value>, limits: Limits) -> Result<String, InterfaceError> {
        let body = xml_rpc::request(method, params).map_err(|problem| self.problem(method, problem))?;
        let answer = self.http(method, http::Request::Post(PATH, body), limits).await?;
        String::from_utf8(answer).map_err(|_| self.no_answer(method, "it is not UTF-8"))
    }

    async fn http(&self, method: &'static str, request: http::Request, limits: Limits) -> Result<Vec<u8>, InterfaceError> {
        let (agent, authority) = (self.agent.clone(), self.authority());
        // A blocking thread: a dropped future leaves it running, but no longer than the time limit.
        let done = tokio::task::spawn_blocking(move || http::run(&agent, &authority, request, limits)).await;
        let problem = match done {
            Ok(Ok(body)) => return Ok(body),
            Ok(Err(problem)) => problem,
            Err(join) => http::Problem::NoConnection(join.to_string()),
        };
        Err(match problem {
            http::Problem::NoConnection(reason) => InterfaceError::Unreachable { address: self.authority(), reason },
            http::Problem::NoAnswer(reason) => self.no_answer(method, &reason),
        })
    }

    fn authority(&self) -> String {
        // An IPv6 address stands in brackets before a port.
        if self.address.contains(':') && !self.address.starts_with('[') {
            return format!("[{}]:{}", self.address, self.port);
        }
        format!("{}:{}", self.address, self.port)
    }

    fn problem(&self, method: &'static str, problem: xml_rpc::Problem) -> InterfaceError {
        match problem {
            xml_rpc::Problem::Fault { code, text } => InterfaceError::Fault { method, code: FaultCode(code), text },
            xml_rpc::Problem::None(reason) => self.no_answer(method, &reason),
        }
    }

    fn no_answer(&self, method: &'static str, reason: &str) -> InterfaceError {
        InterfaceError::NotAnAnswer { address: self.authority(), method, reason: crate::text::printable(reason) }
    }
}

#[cfg(test)]
mod tests;
