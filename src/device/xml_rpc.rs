//! XML-RPC as the device speaks it: requests written, answers read, hostile ones refused.

use dxr::{FaultResponse, MethodCall, MethodResponse, Value};

/// Maximum depth of nested elements in an answer; real answers have fewer than ten levels. The reader recurses, so an
/// answer of a million opening tags would exhaust the stack.
const DEPTH: usize = 64;

/// Why an answer gives no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The device refused.
    Fault { code: i32, text: String },
    /// The answer is not XML-RPC.
    None(String),
}

/// Returns the XML of a method call.
pub(super) fn request(method: &str, params: Vec<Value>) -> Result<String, Problem> {
    let call = MethodCall { name: method.into(), params };
    let xml = call.to_xml().map_err(|error| Problem::None(error.to_string()))?;
    Ok(format!("<?xml version=\"1.0\"?>{xml}"))
}

/// Returns an array of strings, the form in which the device takes JSON pointers.
pub(super) fn strings(items: &[&str]) -> Value {
    Value::Array(items.iter().map(|item| Value::String((*item).to_owned())).collect())
}

/// Returns the strings of an array; `None` when it is not an array of strings.
pub(super) fn array_of_strings(value: &Value) -> Option<Vec<String>> {
    let Value::Array(items) = value else { return None };
    let text = |item: &Value| if let Value::String(text) = item { Some(text.clone()) } else { None };
    items.iter().map(text).collect()
}

/// Returns the value in an answer.
pub(super) fn value(answer: &str) -> Result<Value, Problem> {
    refused(answer)?;
    MethodResponse::from_xml(answer).map(|response| response.value).map_err(|_| no_answer())
}

/// Checks that an answer confirms a call of a method without a result. Servers differ in how they say "nothing" (an empty
/// string, `nil`, no parameter at all), so that what counts is that it is a response and no fault.
pub(super) fn acknowledged(answer: &str) -> Result<(), Problem> {
    refused(answer)?;
    if answer.contains("<methodResponse") && !answer.contains("<fault") { Ok(()) } else { Err(no_answer()) }
}

fn refused(answer: &str) -> Result<(), Problem> {
    if !is_shallow(answer) {
        return Err(Problem::None("its elements are nested too deeply".into()));
    }
    let Ok(response) = FaultResponse::from_xml(answer) else { return Ok(()) };
    let fault = response.fault;
    Err(Problem::Fault { code: fault.code(), text: crate::text::printable(fault.string()) })
}

fn no_answer() -> Problem {
    Problem::None("it is not XML-RPC".into())
}

fn is_shallow(xml: &str) -> bool {
    let mut depth = 0_usize;
    for tag in xml.split('<').skip(1) {
        match tag.as_bytes().first() {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'?' | b'!') => {}
            _ if tag.split('>').next().is_some_and(|tag| tag.ends_with('/')) => {}
            _ => depth += 1,
        }
        if depth > DEPTH {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(value: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><methodResponse><params><param><value>{value}</value></param></params></methodResponse>"
        )
    }

    #[test]
    fn a_request_is_what_the_device_documents() {
        let xml = request("get", vec![strings(&["/device/info/name", "/a&b"])]).expect("a request");
        insta::assert_snapshot!(xml, @r#"<?xml version="1.0"?><methodCall><methodName>get</methodName><params><param><value><array><data><value><string>/device/info/name</string></value><value><string>/a&amp;b</string></value></data></array></value></param></params></methodCall>"#);
    }

    #[test]
    fn a_string_is_read_with_and_without_its_type() {
        assert_eq!(value(&response("<string>{&quot;a&quot;:1}</string>")), Ok(Value::String("{\"a\":1}".into())));
        assert_eq!(value(&response("{&quot;a&quot;:1}")), Ok(Value::String("{\"a\":1}".into())));
    }

    #[test]
    fn every_way_to_say_nothing_is_understood() {
        for nothing in ["<string></string>", "<string/>", "", "<nil/>", "<boolean>1</boolean>"] {
            assert_eq!(acknowledged(&response(nothing)), Ok(()), "{nothing}");
        }
        assert_eq!(acknowledged("<methodResponse><params/></methodResponse>"), Ok(()));
        assert_eq!(acknowledged("<html>it works</html>"), Err(no_answer()));
    }

    #[test]
    fn a_fault_is_told_from_an_answer() {
        let fault = "<methodResponse><fault><value><struct>\
            <member><name>faultCode</name><value><int>101003</int></value></member>\
            <member><name>faultString</name><value><string>read\u{1b}[2J only</string></value></member>\
            </struct></value></fault></methodResponse>";
        let expected = Problem::Fault { code: 101_003, text: "read[2J only".into() };
        assert_eq!(value(fault), Err(expected));
        assert!(matches!(acknowledged(fault), Err(Problem::Fault { code: 101_003, .. })));
        assert_eq!(acknowledged("<methodResponse><fault><value>odd</value></fault></methodResponse>"), Err(no_answer()));
    }

    #[test]
    fn an_answer_that_would_exhaust_the_stack_is_refused() {
        let deep = response(&"<array><data><value>".repeat(300_000));
        assert_eq!(value(&deep), Err(Problem::None("its elements are nested too deeply".into())));
    }
}
