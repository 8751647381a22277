//! Whose key it is.

use super::*;

#[test]
fn an_unknown_host_key_is_refused_asked_about_or_accepted() {
    let sshd = Sshd::start(Files::Tar);
    let careful = Target { accept_new: false, ..target(&sshd) };
    let error = refusal(&careful, &mut Answers::default());
    assert!(matches!(error, ConnectError::HostKeyUnknown { .. }) && error.kind() == FailureKind::HostKey);
    assert!(hint(&error).contains("--accept-new") && hint(&error).contains("o3r-deploy trust"));
    let mut no = Answers { confirm: [false].into(), ..Answers::default() };
    assert!(matches!(refusal(&careful, &mut no), ConnectError::HostKeyUnknown { .. }));
    assert!(!sshd.path("known_hosts").exists());

    let mut yes = Answers { confirm: [true].into(), ..Answers::default() };
    let ssh = wait(connect(&careful, &mut yes)).unwrap();
    assert!(yes.asked[0].contains(&ssh.host_key_fingerprint()), "{:?}", yes.asked);
    let line = format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.public("host_ed25519"));
    assert_eq!(fs::read_to_string(sshd.path("known_hosts")).unwrap(), line);

    wait(connect(&careful, &mut Answers::default())).unwrap();
    fs::remove_file(sshd.path("known_hosts")).unwrap();
    wait(connect(&target(&sshd), &mut Answers::default())).unwrap();
    assert_eq!(fs::read_to_string(sshd.path("known_hosts")).unwrap(), line);
}

#[test]
fn a_hashed_name_is_known_and_the_known_type_is_asked_for() {
    let sshd = Sshd::start(Files::Tar);
    let (file, careful) = (sshd.path("known_hosts"), Target { accept_new: false, ..target(&sshd) });
    fs::write(&file, format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.public("host_ecdsa"))).unwrap();
    wait(connect(&careful, &mut Answers::default())).unwrap();
    let hashed = std::process::Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file).output().unwrap();
    assert!(hashed.status.success() && fs::read_to_string(&file).unwrap().starts_with("|1|"));
    wait(connect(&careful, &mut Answers::default())).unwrap();
}

#[test]
fn a_changed_or_revoked_host_key_is_refused_and_another_type_is_not_accepted_unseen() {
    let sshd = Sshd::start(Files::Tar);
    let (file, host) = (sshd.path("known_hosts"), format!("[127.0.0.1]:{}", sshd.port));
    key(&sshd.path("other"), "ed25519", "");
    let before = format!("{host} {}\n", sshd.public("other"));
    fs::write(&file, &before).unwrap();
    let error = refusal(&target(&sshd), &mut Answers { confirm: [true].into(), ..Answers::default() });
    assert!(matches!(error, ConnectError::HostKeyChanged { line: 1, .. }) && error.kind() == FailureKind::HostKey);
    assert!(hint(&error).contains(&format!("`ssh-keygen -R '{host}'`")), "{}", hint(&error));
    assert_eq!(fs::read_to_string(&file).unwrap(), before);

    fs::write(&file, format!("@revoked * {}\n", sshd.public("host_ed25519"))).unwrap();
    assert!(matches!(refusal(&target(&sshd), &mut Answers::default()), ConnectError::HostKeyRevoked { .. }));

    key(&sshd.path("rsa"), "rsa", "");
    fs::write(&file, format!("{host} {}\n", sshd.public("rsa"))).unwrap();
    let error = refusal(&target(&sshd), &mut Answers::default());
    assert!(matches!(error, ConnectError::HostKeyUnknown { other_type: true, .. }), "{error}");
    wait(connect(&target(&sshd), &mut Answers { confirm: [true].into(), ..Answers::default() })).unwrap();
}
