//! Keys, certificates, agents and passwords.

use super::*;

#[test]
fn a_named_key_that_is_missing_or_none_is_an_error_of_its_own() {
    let sshd = Sshd::start(Files::Tar);
    for (name, says) in [("missing", "No such file"), ("known", "not a private key")] {
        fs::write(sshd.path("known"), "nothing").unwrap();
        let error = refusal(&Target { identity: Some(sshd.path(name)), ..target(&sshd) }, &mut Answers::default());
        assert!(matches!(&error, ConnectError::Identity { path, .. } if path.ends_with(name)), "{error}");
        assert!(error.to_string().contains(says) && error.kind() == FailureKind::LocalFile, "{error}");
    }
}

#[test]
fn a_key_that_is_not_accepted_is_named_with_its_fingerprint() {
    let sshd = Sshd::start(Files::Tar);
    key(&sshd.path("wrong"), "ed25519", "");
    let wrong = Target { identity: Some(sshd.path("wrong")), password: Some(Password::new(Secret::new("x"))), ..target(&sshd) };
    let error = refusal(&wrong, &mut Answers::default());
    let text = error.to_string();
    assert!(text.contains("/wrong` (SHA256:") && error.kind() == FailureKind::Authentication, "{text}");
    assert_eq!(hint(&error), "`o3r-deploy trust --IP 127.0.0.1` gives the device a key of yours");
}

#[test]
fn a_good_key_is_found_however_many_wrong_ones_come_first() {
    let sshd = Sshd::with(Files::Tar, "MaxAuthTries 6");
    let mut keys: Vec<_> = (0..14).map(|index| sshd.path(&format!("wrong{index}"))).collect();
    for path in &keys {
        key(path, "ed25519", "");
    }
    keys.push(sshd.path("absent"));
    keys.push(sshd.path("client"));
    wait(connect(&Target { identity: None, keys, ..target(&sshd) }, &mut Answers::default())).unwrap();
}

#[test]
fn the_named_key_comes_first_then_the_agent_then_the_usual_keys() {
    let sshd = Sshd::with(Files::Tar, "LogLevel VERBOSE\nMaxAuthTries 20");
    let names = ["named", "agents", "usual"];
    for name in names {
        key(&sshd.path(name), "ed25519", "");
    }
    let socket = sshd.path("agent");
    let mut agent = std::process::Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait(there(&socket));
    let added = std::process::Command::new("ssh-add").arg("-q").arg(sshd.path("agents")).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.unwrap().success());
    let all = Target {
        identity: Some(sshd.path("named")),
        agent: Some(socket),
        keys: vec![sshd.path("usual"), sshd.path("named")],
        ..target(&sshd)
    };
    let ConnectError::NotAccepted { tried, .. } = refusal(&all, &mut Answers::default()) else { panic!("none is accepted") };
    assert!(
        tried.len() == 3 && tried[0].contains("/named`") && tried[1].contains("agent") && tried[2].contains("/usual`"),
        "{tried:?}"
    );
    fs::copy(sshd.path("agents.pub"), sshd.path("authorized_keys")).unwrap();
    wait(connect(&all, &mut Answers::default())).unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[test]
fn an_encrypted_key_is_opened_only_when_the_device_wants_it() {
    let sshd = Sshd::start(Files::Tar);
    key(&sshd.path("locked"), "ed25519", "open sesame");
    let locked = Target { identity: Some(sshd.path("locked")), ..target(&sshd) };
    let mut unasked = Answers { secret: ["open sesame"].into(), ..Answers::default() };
    assert!(matches!(refusal(&locked, &mut unasked), ConnectError::NotAccepted { .. }));
    assert_eq!(unasked.asked, Vec::<String>::new());

    fs::copy(sshd.path("locked.pub"), sshd.path("authorized_keys")).unwrap();
    let error = refusal(&locked, &mut Answers::default());
    assert!(error.to_string().contains("encrypted and not opened"), "{error}");
    let mut typed = Answers { secret: ["wrong", "open sesame"].into(), ..Answers::default() };
    wait(connect(&locked, &mut typed)).unwrap();
    assert!(typed.asked.len() == 2 && typed.asked[0].contains("locked"), "{:?}", typed.asked);
}

#[test]
fn a_certificate_vouches_for_a_key_in_a_file_an_encrypted_one_and_the_agents() {
    let sshd = Sshd::with(Files::Tar, "LogLevel VERBOSE\nMaxAuthTries 20");
    key(&sshd.path("authority"), "ed25519", "");
    for (name, kind, phrase) in [("plain", "ed25519", ""), ("locked", "ecdsa", "open sesame"), ("agents", "ed25519", "")] {
        key(&sshd.path(name), kind, phrase);
        let mut sign = std::process::Command::new("ssh-keygen");
        sign.args(["-q", "-I", name, "-n", "root", "-s"]).arg(sshd.path("authority")).arg(sshd.path(&format!("{name}.pub")));
        assert!(sign.status().unwrap().success());
    }
    let with = |name: &str| Target { identity: Some(sshd.path(name)), ..target(&sshd) };
    let ConnectError::NotAccepted { tried, .. } = refusal(&with("plain"), &mut Answers::default()) else {
        panic!("none is accepted")
    };
    assert!(tried.len() == 2 && tried[0].contains("with its certificate"), "{tried:?}");
    let mut unasked = Answers { secret: ["open sesame"].into(), ..Answers::default() };
    refusal(&with("locked"), &mut unasked);
    assert_eq!(unasked.asked, Vec::<String>::new());

    // From here on the authority is trusted, and no key by itself.
    let authority = fs::read_to_string(sshd.path("authority.pub")).unwrap();
    fs::write(sshd.path("authorized_keys"), format!("cert-authority {authority}")).unwrap();
    wait(connect(&with("plain"), &mut Answers::default())).unwrap();
    wait(connect(&with("locked"), &mut Answers { secret: ["open sesame"].into(), ..Answers::default() })).unwrap();
    let socket = sshd.path("agent");
    let mut agent = std::process::Command::new("ssh-agent");
    let mut agent = agent.arg("-D").arg("-a").arg(&socket).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait(there(&socket));
    let added = std::process::Command::new("ssh-add").arg("-q").arg(sshd.path("agents")).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.unwrap().success());
    let by_agent = wait(connect(&Target { identity: None, agent: Some(socket), ..target(&sshd) }, &mut Answers::default()));
    agent.kill().unwrap();
    agent.wait().unwrap();
    by_agent.unwrap();
    for name in ["plain", "locked", "agents"] {
        assert!(sshd.log().contains(&format!("ID {name} ")), "{name}: {}", sshd.log());
    }
    // One for another key is no certificate of this one.
    fs::copy(sshd.path("plain-cert.pub"), sshd.path("other-cert.pub")).unwrap();
    key(&sshd.path("other"), "ed25519", "");
    let ConnectError::NotAccepted { tried, .. } = refusal(&with("other"), &mut Answers::default()) else {
        panic!("none is accepted")
    };
    assert_eq!(tried.len(), 1, "{tried:?}");
}

#[test]
fn rsa_keys_sign_with_sha2() {
    let sshd = Sshd::with(Files::Tar, "LogLevel DEBUG1");
    key(&sshd.path("rsa"), "rsa", "");
    fs::copy(sshd.path("rsa.pub"), sshd.path("authorized_keys")).unwrap();
    wait(connect(&Target { identity: Some(sshd.path("rsa")), ..target(&sshd) }, &mut Answers::default())).unwrap();
    assert!(sshd.log().contains("rsa-sha2-"), "{}", sshd.log());
}

#[test]
fn nobody_is_asked_for_a_password_that_the_device_does_not_take() {
    let sshd = Sshd::start(Files::Tar);
    let old_firmware = Claim { serial: None, old_firmware: true }.now();
    let words = Target {
        identity: None,
        password: Some(Password::new(Secret::new("hunter2"))),
        claim: old_firmware.clone(),
        ..target(&sshd)
    };
    let mut typed = Answers { secret: ["a"].into(), ..Answers::default() };
    let ConnectError::NotAccepted { tried, .. } = refusal(&words, &mut typed) else { panic!("none is accepted") };
    assert!(tried.is_empty() && typed.asked.is_empty(), "{tried:?}");
}

#[test]
fn passwords_are_tried_in_order_by_either_method() {
    for method in [MethodKind::Password, MethodKind::KeyboardInteractive] {
        let server = passwords::start(method, "right");
        let to = |password: Option<&str>, old_firmware| Target {
            port: server.port,
            identity: None,
            accept_new: true,
            password: password.map(|password| Password::new(Secret::new(password))),
            known_hosts: Vec::new(),
            claim: Claim { serial: None, old_firmware }.now(),
            agent: None,
            keys: Vec::new(),
            ..Target::new("127.0.0.1")
        };
        let error = refusal(&to(Some("hunter2"), true), &mut Answers::default());
        assert!(matches!(error, ConnectError::NotAccepted { .. }) && !error.to_string().contains("hunter2"), "{error}");
        assert_eq!(server.seen(), ["hunter2", "oem"]);
        let mut typed = Answers { secret: ["wrong", "right"].into(), ..Answers::default() };
        wait(connect(&to(None, false), &mut typed)).unwrap();
        assert_eq!(server.seen(), ["wrong", "right"]);
        assert!(typed.asked[0].contains("password of oem on 127.0.0.1"), "{:?}", typed.asked);
        wait(connect(&to(Some("right"), true), &mut Answers::default())).unwrap();
        assert_eq!(server.seen(), ["right"]);
    }
}

#[test]
fn password_is_not_fetched_while_a_key_is_accepted() {
    let sshd = Sshd::start(Files::Tar);
    let fetched = Password::fetched(|| panic!("nobody needs it"));
    wait(connect(&Target { password: Some(fetched), ..target(&sshd) }, &mut Answers::default())).unwrap();
}

#[test]
fn own_key_that_is_missing_means_that_the_device_is_not_trusted_yet() {
    let sshd = Sshd::start(Files::Tar);
    let own = sshd.path("id_o3r");
    let untrusted = Target { identity: Some(own.clone()), own_key: Some(own), keys: Vec::new(), agent: None, ..target(&sshd) };
    let error = refusal(&untrusted, &mut Answers::default());
    assert_eq!(error.kind(), FailureKind::Authentication);
    assert!(error.to_string().ends_with("/id_o3r`, which is not there: the device is not trusted yet"), "{error}");
    assert_eq!(hint(&error), "`o3r-deploy trust --IP 127.0.0.1` gives the device a key of yours");
}
