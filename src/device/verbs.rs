//! The operations of the configuration interface that a deployment needs.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{ConfigurationInterface, Firmware, InterfaceError, PATH, Saved, sealed};
use crate::{secret::Secret, text::printable};

/// The device's name.
pub(super) const NAME: &str = "/device/info/name";
const INFO: &str = "/device/info";
const FIRMWARE: &str = "/device/swVersion/firmware";
const STATUS: &str = "/device/status";
const KEYS: &str = "/device/network/authorized_keys";
/// The place where the device takes sealed messages, and where it describes them.
const SEALED: &str = "/device/crypto/sealedbox";
/// The status of a device that is ready.
const READY: &str = "OPERATE";

/// The identity of the device, as it reports it. Control characters are removed from all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceIdentity {
    /// The serial number: what identifies a device.
    pub serial: String,
    /// The name; empty when it has none.
    pub name: String,
    /// The firmware, where it is a version.
    pub firmware: Option<Firmware>,
    /// The status; `OPERATE` when it is ready.
    pub status: String,
    /// The article number, such as `M03975`, where the device tells it.
    pub article: Option<String>,
}

/// The maximum length of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameLimit {
    /// `maxLength` of the device's schema, where it has one. JSON Schema counts characters, and so is it taken here: should the
    /// device count bytes instead, it refuses the name itself.
    pub characters: Option<u64>,
}

impl NameLimit {
    /// The most bytes of UTF-8 that a name has room for in the packet by which devices are discovered.
    pub const BYTES: usize = 255;

    /// Returns whether `name` is short enough.
    pub fn allows(self, name: &str) -> bool {
        name.len() <= Self::BYTES && self.characters.is_none_or(|most| name.chars().count() as u64 <= most)
    }
}

impl ConfigurationInterface {
    /// Returns the identity of the device, asked in one request.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`].
    pub async fn identity(&self) -> Result<DeviceIdentity, InterfaceError> {
        let answer = self.get(&[INFO, FIRMWARE, STATUS]).await?;
        self.read_identity(&answer)
    }

    /// Returns the request of [`ConfigurationInterface::identity`] as bytes, to be sent to the device by another way than
    /// its port 80.
    ///
    /// # Errors
    /// None that is known.
    pub fn identity_request(&self) -> Result<Vec<u8>, InterfaceError> {
        let params = vec![super::xml_rpc::strings(&[INFO, FIRMWARE, STATUS])];
        let body = super::xml_rpc::request("get", params).map_err(|problem| self.problem("get", problem))?;
        let length = body.len();
        let head =
            format!("POST {PATH} HTTP/1.0\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n");
        Ok([head, body].concat().into_bytes())
    }

    /// Returns the identity of the device, from the bytes that answer [`ConfigurationInterface::identity_request`].
    ///
    /// # Errors
    /// They are no such answer.
    pub fn identity_in(&self, answer: &[u8]) -> Result<DeviceIdentity, InterfaceError> {
        let text = String::from_utf8_lossy(answer);
        let body = text.split_once("\r\n\r\n").filter(|(head, _)| head.split(' ').nth(1) == Some("200"));
        let (_, body) = body.ok_or_else(|| self.no_answer("get", "it is no answer of HTTP"))?;
        match super::xml_rpc::value(body).map_err(|problem| self.problem("get", problem))? {
            dxr::Value::String(json) => {
                let json = serde_json::from_str(&json).map_err(|error| self.no_answer("get", &error.to_string()))?;
                self.read_identity(&json)
            }
            _ => Err(self.no_answer("get", "JSON in a string was expected")),
        }
    }

    fn read_identity(&self, answer: &Value) -> Result<DeviceIdentity, InterfaceError> {
        let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).map(printable);
        let serial = text("/device/info/serialNumber").filter(|serial| !serial.is_empty());
        Ok(DeviceIdentity {
            serial: serial.ok_or_else(|| self.no_answer("get", "there is no serial number in it"))?,
            name: text(NAME).unwrap_or_default(),
            firmware: text(FIRMWARE).and_then(|version| Firmware::new(&version)),
            status: text(STATUS).unwrap_or_default(),
            article: text("/device/info/partNumber").filter(|article| !article.is_empty()),
        })
    }

    /// Gives the device a name that outlives a reboot, and reads it back.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`], and when the device says another name afterwards.
    pub async fn set_name(&self, name: &str) -> Result<(), InterfaceError> {
        self.set(&json!({ "device": { "info": { "name": name } } })).await?;
        self.save(Saved::Name).await?;
        self.verify(NAME, name).await
    }

    /// Returns the maximum length of a name, asked from the device.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`].
    pub async fn name_limit(&self) -> Result<NameLimit, InterfaceError> {
        let schema = self.schema(&[NAME]).await?;
        Ok(NameLimit { characters: schema_of(&schema, NAME).get("maxLength").and_then(Value::as_u64) })
    }

    /// Returns the keys that may log in: lines as in OpenSSH's `authorized_keys`. Empty when there are none.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`].
    pub async fn authorized_keys(&self) -> Result<String, InterfaceError> {
        self.text(KEYS).await
    }

    /// Replaces all keys that may log in, and reads them back. It works at once and outlives a reboot by itself. A device that
    /// [has a password](ConfigurationInterface::has_password) takes them with that password alone.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`], and when the device says other keys afterwards.
    pub async fn set_authorized_keys(&self, keys: &str, password: Option<&Secret>) -> Result<(), InterfaceError> {
        let wanted = json!({ "device": { "network": { "authorized_keys": keys } } });
        match password {
            Some(password) => self.set_sealed(&wanted, password).await?,
            None => self.set(&wanted).await?,
        }
        self.verify(KEYS, keys).await
    }

    /// Returns whether the device lets its keys be changed only with a password; firmware 1.21.6 and later can have one.
    ///
    /// # Errors
    /// As [`ConfigurationInterface::get`].
    pub async fn has_password(&self) -> Result<bool, InterfaceError> {
        match self.get(&[SEALED]).await {
            Ok(answer) => {
                Ok(answer.pointer(SEALED).and_then(|sealed| sealed.get("passwordProtected")) == Some(&Value::Bool(true)))
            }
            // Older firmware knows nothing of it.
            Err(InterfaceError::Fault { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sets values like [`ConfigurationInterface::set`], in a message that only the device can read.
    async fn set_sealed(&self, fragment: &Value, password: &Secret) -> Result<(), InterfaceError> {
        let answer = self.get(&[SEALED]).await?;
        let key =
            answer.pointer(SEALED).and_then(|sealed| sealed.get("public_key")).and_then(Value::as_str).unwrap_or_default();
        let message = sealed::request(password, fragment).and_then(|request| sealed::seal(&request, key));
        let message = message.map_err(|reason| self.no_answer("get", reason))?;
        self.set(&json!({ "device": { "crypto": { "sealedbox": { "message": message } } } })).await
    }

    /// Waits until the device reports that it is ready. Right after [`ConfigurationInterface::reboot`] it may still report
    /// that; to know that it has rebooted, compare the boot ID as well.
    ///
    /// # Errors
    /// [`InterfaceError::NotReady`] with the last status, or why there was none, when `deadline` comes first.
    pub async fn wait_until_ready(&self, deadline: Instant) -> Result<(), InterfaceError> {
        loop {
            let last = match self.text(STATUS).await {
                Ok(status) if status == READY => return Ok(()),
                Ok(status) => format!("its status is `{}`", printable(&status)),
                Err(error) => error.to_string(),
            };
            let next = Instant::now() + Duration::from_secs(1);
            if next > deadline {
                return Err(InterfaceError::NotReady { last });
            }
            sleep_until(next).await;
        }
    }

    async fn verify(&self, pointer: &'static str, wanted: &str) -> Result<(), InterfaceError> {
        let got = self.text(pointer).await?;
        // The end of a text may lose its line break on the way through XML.
        if got.trim_end() == wanted.trim_end() {
            return Ok(());
        }
        Err(InterfaceError::NotTaken { pointer, wanted: printable(wanted), got: printable(&got) })
    }

    async fn text(&self, pointer: &'static str) -> Result<String, InterfaceError> {
        match self.get(&[pointer]).await?.pointer(pointer) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Null) => Ok(String::new()),
            _ => Err(self.no_answer("get", &format!("there is no text at `{pointer}` in it"))),
        }
    }
}

/// Returns the part of a schema about `pointer`: below `properties` at each level, or without that word, or the schema
/// itself where the device sends only the requested part.
fn schema_of<'a>(schema: &'a Value, pointer: &str) -> &'a Value {
    pointer.split('/').skip(1).fold(schema, |schema, name| {
        let properties = schema.get("properties").unwrap_or(schema);
        properties.get(name).unwrap_or(schema)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_name_is_found_in_any_shape_of_schema() {
        let leaf = json!({ "type": "string", "maxLength": 64 });
        let nested = json!({ "properties": { "device": { "properties": { "info": { "properties": { "name": leaf } } } } } });
        let plain = json!({ "device": { "info": { "name": leaf } } });
        for schema in [&leaf, &nested, &plain] {
            assert_eq!(schema_of(schema, NAME), &leaf);
        }
    }

    #[test]
    fn a_name_is_measured_in_characters_and_in_bytes() {
        let limit = NameLimit { characters: Some(4) };
        assert!(limit.allows("Tür4") && !limit.allows("Türen"));
        let limit = NameLimit { characters: None };
        assert!(limit.allows(&"ü".repeat(127)) && !limit.allows(&"ü".repeat(128)));
    }
}
