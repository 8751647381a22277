//! Secrets reach the device with mode 0600, and nothing else: no log, event, error, list of processes, history or archive of ours.

use std::process::Command;

use crate::{
    device::{OVP80X, OVP81X, Vpu, must, text},
    images::Image,
};

/// Each is looked for by its own; the characters are those that quoting, JSON and environment files trip over.
const SECRETS: [(&str, &str); 4] = [
    ("from_env", "e-Tz7#q's \"w$HOME` \\ <&>é"),
    ("from_file", "f-Kp2'9x"),
    ("from_command", "c-Wm4 8y"),
    ("plain", "p-Rd6;0z"),
];

const DEPLOYMENT: &str = r#"
application: app
logs:
image: [{ source: ./app.tar }]
compose:
  file: ./docker-compose.yml
  settle: 1
  wait: 30
  secrets:
    from_env: !env APP_TOKEN
    from_file: !file ./token
    from_command: !command "cat ./other token"
    plain: "p-Rd6;0z"
    app.env: !command "cat ./env_token"
attach: { container: app, until: ready }
"#;

const COMPOSE: &str = r#"
version: "2.4"
services:
  app:
    image: app:1
    container_name: app
    env_file: secrets/app.env
    volumes: ["./secrets:/secrets:ro"]
"#;

/// Prints what nobody is to see, as careless applications do.
const APP: &str = "cat /secrets/*; echo; echo \"with $ENVIRONMENT_TOKEN\"; echo ready; sleep 100000";

/// Everything on the laptop and on the device that holds one of the secrets.
fn places(vpu: &Vpu) -> Vec<String> {
    let mut found = Vec::new();
    for secret in SECRETS.iter().map(|(_, secret)| *secret).chain(["v-Hq3+5x"]) {
        let list = Command::new("grep").args(["-rlF", "--", secret]).arg(vpu.home.path()).output().expect("grep runs");
        found.extend(
            String::from_utf8_lossy(&list.stdout).lines().map(|line| line.replace(&vpu.home.path().display().to_string(), "~")),
        );
        // The pattern comes on standard input, or it would find itself.
        let there = "grep -rlF -f - /home /root /tmp /var/log /var/tmp /run /etc --exclude-dir=docker --exclude-dir=containerd \
             --exclude-dir=journal 2>/dev/null; journalctl --no-pager -o json | grep -v CONTAINER_NAME | grep -F -f -; true";
        let mut grep = vpu.ssh_command("exec cat >/dev/shm/pattern");
        let pattern = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(pattern.path(), secret).expect("written");
        must(grep.stdin(std::fs::File::open(pattern.path()).expect("opened")));
        found.extend(vpu.root(&there.replace("-f -", "-f /dev/shm/pattern")).lines().map(str::to_owned));
    }
    found.sort();
    found.dedup();
    found
}

/// Says every command line of the device and of the laptop while the program runs that holds a secret.
fn watch(vpu: &Vpu, words: &[&str]) -> (String, Vec<String>) {
    let mut program = vpu.command(words);
    program.env("APP_TOKEN", SECRETS[0].1).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = program.spawn().expect("it starts");
    let pid = child.id();
    let running = std::thread::spawn(move || child.wait_with_output().expect("it ends"));
    let mut seen = Vec::new();
    // The processes of virtual VPUs are processes here as well.
    while !running.is_finished() {
        std::thread::sleep(std::time::Duration::from_millis(5));
        for entry in std::fs::read_dir("/proc").expect("processes").flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if SECRETS.iter().any(|(name, secret)| *name != "plain" && line.contains(secret)) {
                seen.push(line);
            }
        }
    }
    assert!(pid > 0);
    let output = running.join().expect("joined");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    (text(&output), seen)
}

#[test]
fn secrets_reach_the_device_and_nothing_else() {
    let vpu = Vpu::trusted(OVP81X);
    Image::new("app:1", APP).save(&vpu.home.path().join("app.tar"));
    vpu.write("o3r-deploy.yaml", DEPLOYMENT.replace("other token", "other_token"));
    vpu.write("docker-compose.yml", COMPOSE);
    vpu.write("token", format!("{}\n", SECRETS[1].1));
    vpu.write("other_token", SECRETS[2].1);
    vpu.write("env_token", "ENVIRONMENT_TOKEN=v-Hq3+5x");
    let mine = ["~/env_token", "~/o3r-deploy.yaml", "~/other_token", "~/token"];
    let own: Vec<_> = mine.iter().map(|name| (*name).to_owned()).collect();

    let (said, seen) = watch(&vpu, &["plan", "--log_level", "DEBUG"]);
    assert!(said.contains("write /home/oem/app/secrets/from_env (a secret, mode 600)"), "{said}");
    assert!(seen.is_empty(), "{seen:?}");
    let mut all = said;
    for words in [&["--log_level", "DEBUG"][..], &["--json"]] {
        let (said, seen) = watch(&vpu, words);
        assert!(seen.is_empty(), "{seen:?}");
        all += &said;
    }
    // It was told what the application printed, and not what it was told to keep.
    assert!(all.contains("‹secret›") && all.contains("ready"), "{all}");
    for secret in SECRETS.iter().map(|(_, secret)| *secret).chain(["v-Hq3+5x"]) {
        assert!(!all.contains(secret), "{secret} is seen: {all}");
    }

    for (name, secret) in SECRETS {
        assert_eq!(vpu.root(&format!("cat /home/oem/app/secrets/{name}")), secret, "{name}");
    }
    let modes = vpu.root("stat -c '%a %U %n' /home/oem/app/secrets /home/oem/app/secrets/*");
    assert!(modes.lines().all(|line| line.starts_with("600 oem ") || line == "700 oem /home/oem/app/secrets"), "{modes}");
    let names = ["app.env", "from_command", "from_env", "from_file", "plain"];
    let there: Vec<_> = names.iter().map(|name| format!("/home/oem/app/secrets/{name}")).collect();
    let found = places(&vpu);
    assert_eq!(found, [&there[..], &own].concat(), "nowhere else");

    // The same again changes nothing; another value makes the application anew.
    let started = vpu.container("app", "{{.State.StartedAt}}");
    let (said, _) = watch(&vpu, &["--attach_to", ""]);
    assert!(said.contains("app up to date"), "{said}");
    assert_eq!(vpu.container("app", "{{.State.StartedAt}}"), started);
    vpu.write("token", "f-new-one");
    watch(&vpu, &["--attach_to", ""]);
    assert_eq!(vpu.root("docker exec app cat /secrets/from_file"), "f-new-one");
    assert_ne!(vpu.container("app", "{{.State.StartedAt}}"), started);
}

#[test]
fn a_secret_that_cannot_be_had_is_named_with_file_line_and_key() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.write("docker-compose.yml", "services: {app: {image: 'app:1'}}");
    let mut said = Vec::new();
    for (code, secret) in [
        (2, "!env O3R_NOT_SET"),
        (3, "!file ./nowhere"),
        (2, "!command 'echo s3cret; exit 3'"),
        (2, "!command 'true'"),
        (2, "!vault x"),
        (2, "!env [a]"),
    ] {
        vpu.write("o3r-deploy.yaml", format!("compose:\n  file: ./docker-compose.yml\n  secrets:\n    token: {secret}\n"));
        said.push(vpu.refused(code, &[]));
    }
    vpu.write("o3r-deploy.yaml", "rename: !env NAME\ncompose: {file: ./docker-compose.yml, secrets: {../x: a}}\n");
    said.push(vpu.refused(2, &[]));
    insta::assert_snapshot!(said.join("\n\n"), @"
    error: o3r-deploy.yaml:4:12: compose.secrets.token: the environment variable `O3R_NOT_SET` is not set
    hint: set it: `export O3R_NOT_SET=…`

    error: o3r-deploy.yaml:4:12: compose.secrets.token: `HOME/nowhere` cannot be read: No such file or directory (os error 2)
    hint: relative paths start at the folder of the configuration file

    error: o3r-deploy.yaml:4:12: compose.secrets.token: `echo s3cret; exit 3` failed: exit status: 3
    hint: run it by hand: it has to write the value to its standard output and to end with 0

    error: o3r-deploy.yaml:4:12: compose.secrets.token: `true` gives no value
    hint: a secret is a text of at most 1 MiB

    error: o3r-deploy.yaml:4:12: compose.secrets.token: the tag `!vault` has no meaning; there are `!env`, `!file`, `!command`

    error: o3r-deploy.yaml:4:12: compose.secrets.token: expected a text, found the tag `!env`: after the tag stands a text

    error: 2 things are wrong in the configuration
      o3r-deploy.yaml:1:9: rename: expected a text, found the tag `!env`: it is for `device.password` and `compose.secrets`
      o3r-deploy.yaml:2:55: compose.secrets.../x: expected letters, digits, `_`, `.` and `-`, for it names a file below `secrets`, found `../x`
    ");
}

#[test]
fn the_password_of_a_device_may_come_from_a_command() {
    let vpu = Vpu::new(OVP80X);
    vpu.root("echo oem:the-new-one | chpasswd");
    vpu.write("o3r-deploy.yaml", "device: {password: !command 'printf the-new-one'}\nlogs:\nstamp:\n");
    vpu.succeed(&["--accept-new"]);
    vpu.write("o3r-deploy.yaml", "device: {password: !command 'printf wrong-one'}\nlogs:\nstamp:\n");
    let (code, said) = vpu.run(&[]);
    assert_eq!(code, 6, "{said}");
    assert!(!said.contains("wrong-one"), "{said}");
}

#[test]
fn no_log_or_event_shows_secrets_of_any_form_or_environments() {
    let vpu = Vpu::trusted(OVP81X);
    let app = "cat /secrets/hard; echo; cat /secrets/long; echo; echo ready; sleep 100000";
    Image::new("app:1", app).save(&vpu.home.path().join("app.tar"));
    let long: String = (0..25_000_u32).map(|number| format!("{:04x}", number * 7919 % 65_521)).collect();
    vpu.write("long", &long);
    vpu.write(".env", "FROM_DOT_ENV=d-Nv1-kk\n");
    vpu.write("docker-compose.yml", format!("{COMPOSE}    environment: {{INLINE: n-Vb8-zz, OTHER: '${{FROM_DOT_ENV}}'}}\n"));
    let secrets =
        "hard: !env HARD\n    long: !file ./long\n    app.env: !command \"touch ran; printf ENVIRONMENT_TOKEN=v-Hq3+5x\"";
    vpu.write(
        "o3r-deploy.yaml",
        format!(
            "application: app\ndevice: {{password: !command 'touch asked; printf x'}}\nlogs:\nimage: [{{source: ./app.tar}}]\n\
             compose:\n  file: ./docker-compose.yml\n  wait: 30\n  secrets:\n    {secrets}\nattach: {{container: app, until: ready}}\n"
        ),
    );
    let run = |words: &[&str]| {
        let output = vpu.command(words).env("HARD", "h-Tab\tin\u{1b}[31mBidi\u{202e}x9").output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output));
        text(&output)
    };
    let mut all = run(&["plan", "--log_level", "DEBUG"]);
    assert!(all.contains("a deployment runs `touch ran; printf ENVIRONMENT_TOKEN=v-Hq3+5x` for it"), "{all}");
    assert!(!vpu.home.path().join("ran").exists(), "a plan runs no command of a secret");
    all = run(&["--log_level", "DEBUG"]);
    vpu.root("docker run -d --name other -e OTHER_TOKEN=o-Th3-rr app:1 sleep 1000");
    for words in [&["--json"][..], &["--log_level", "DEBUG"], &["verify", "--log_level", "DEBUG"], &["doctor"]] {
        all += &run(words);
    }
    assert!(all.contains("ready") && all.contains("‹secret›"), "{all}");
    assert!(!vpu.home.path().join("asked").exists(), "no password is fetched while a key is accepted");
    let logs = vpu.home.path().join("o3r_logs/Deployments");
    for entry in std::fs::read_dir(logs).expect("logs").flatten() {
        use std::os::unix::fs::PermissionsExt;
        let mode = entry.metadata().expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        all += &String::from_utf8_lossy(&std::fs::read(entry.path()).expect("read"));
    }
    let pieces = [&long[..40], &long[65_600..65_640], &long[99_900..99_940]];
    for value in ["h-Tab", "Bidi", "n-Vb8-zz", "d-Nv1-kk", "o-Th3-rr"].into_iter().chain(pieces) {
        assert!(!all.contains(value), "{value} is seen");
    }
}
