//! Secrets of every shape, looked for everywhere on both sides while a device is deployed to, looked at and rolled back, all at log level
//! DEBUG: what the program said and keeps, what the device keeps, and what processes show of themselves.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::{
    device::{OVP80X, Vpu, must, text},
    images::Image,
};

const PASSWORD: &str = "p4ss\"w'o\\rd $(id) é";

/// Secrets of the application, by the names of their files.
fn secrets() -> Vec<(&'static str, String)> {
    let long = (0..9000_u32).map(|number| format!("{:08x}", number.wrapping_mul(2_654_435_761))).collect();
    vec![
        ("control", "t4b\there-c0ntr0l\rreturn-\u{1b}[31mescape-9Q".to_owned()),
        ("quotes", "b1di-\u{202e}sign 'single' \"double\" back\\slash\\n é😀 end-71".to_owned()),
        ("encoded", "QWxhZGRpbjpvcGVuIHNlc2FtZQ+/x9kLm==".to_owned()),
        (
            "lines",
            "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\nlast+line/of=it\n-----END KEY-----".to_owned(),
        ),
        ("long", long),
        ("app.env", "ENVIRONMENT_TOKEN=v-Hq3+5x-env".to_owned()),
    ]
}

/// Values of the compose project's own variables. The application does not print them: they are no secrets to the program, and nothing
/// of its own shows them all the same.
const VARIABLES: [(&str, &str); 3] =
    [("DOT_ENV", "d0t-env-V4lue\\77"), ("IN_FILE", "in-f1le-V4lue-78"), ("INLINE", "inl1ne-V4lue-79")];

/// A value that the user gives on the command line.
const BY_OPTION: &str = "by-0ption-V4lue-80";

/// The forms in which a value may come, in lines and pieces that are long enough to be no chance.
fn forms(value: &str) -> BTreeSet<String> {
    let json = |text: &str| serde_json::to_string(text).expect("JSON").trim_matches('"').to_owned();
    let bytes = |plain: fn(u8) -> bool, escape: fn(u8) -> String| {
        value.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { escape(byte) }).collect::<String>()
    };
    // What stands around a value shifts its base64 by one or two characters.
    let encoded = ["", "x", "xx"].map(|before| {
        let text = BASE64_STANDARD.encode(format!("{before}{value}"));
        text.get(4..text.len().saturating_sub(4)).unwrap_or_default().to_owned()
    });
    let whole = [
        value.to_owned(),
        json(value),
        json(&json(value)),
        value.replace('\'', r"'\''"),
        format!("{value:?}").trim_matches('"').to_owned(),
        bytes(|byte| byte.is_ascii_alphanumeric(), |byte| format!("%{byte:02X}")),
        bytes(|byte| byte.is_ascii_graphic() && byte != b'\\', |byte| format!("\\x{byte:02x}")),
        bytes(|byte| byte.is_ascii_graphic() && byte != b'\\', |byte| format!("\\{byte:03o}")),
        o3r_deploy::text::printable(value),
    ];
    let pieces = |form: &String| {
        let characters: Vec<_> = form.chars().collect();
        // Of a long one some pieces will do: its begin, where a buffer of 64 KiB ends, its end.
        let starts = [0, characters.len() / 2, 65_520, 65_600, characters.len().saturating_sub(40)];
        let cut = |start: usize| {
            characters.get(start..(start + 40).min(characters.len())).map(|piece| piece.iter().collect::<String>())
        };
        if characters.len() <= 200 { vec![form.clone()] } else { starts.into_iter().filter_map(cut).collect() }
    };
    let lines = whole.iter().chain(&encoded).flat_map(|form| form.split('\n').map(str::to_owned).collect::<Vec<_>>());
    // What begins and ends a key is known to everybody, and so is the name of a variable.
    let lines =
        lines.map(|line| line.trim_start_matches("ENVIRONMENT_TOKEN=").to_owned()).filter(|line| !line.contains("-----"));
    lines.flat_map(|line| pieces(&line)).filter(|piece| piece.len() >= 8).collect()
}

/// Files with what is looked for, one pattern a line.
struct Patterns {
    folder: tempfile::TempDir,
    all: Vec<String>,
}

impl Patterns {
    fn new() -> Self {
        let values = secrets().into_iter().map(|(_, value)| value).chain([PASSWORD, BY_OPTION].map(str::to_owned));
        let values = values.chain(VARIABLES.map(|(_, value)| value.to_owned()));
        let all: BTreeSet<_> = values.flat_map(|value| forms(&value)).collect();
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("patterns"), all.iter().map(|form| format!("{form}\n")).collect::<String>())
            .expect("written");
        Self { folder, all: all.into_iter().collect() }
    }

    fn file(&self) -> String {
        self.folder.path().join("patterns").display().to_string()
    }

    /// Files below a folder of this computer that hold any of it.
    fn here(&self, folder: &Path) -> Vec<String> {
        let mut grep = Command::new("grep");
        let list = grep.env("LC_ALL", "C").args(["-rlaF", "-f", &self.file()]).arg(folder).output().expect("grep runs");
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        let mut found: Vec<_> = list.lines().map(|line| line.replace(&folder.display().to_string(), "~")).collect();
        found.sort();
        found
    }

    /// The forms that are in a text.
    fn within<'a>(&'a self, text: &str) -> Vec<&'a String> {
        self.all.iter().filter(|form| text.contains(form.as_str())).collect()
    }

    /// Files and lines of the journal on the device that hold any of it, but for what docker keeps of its containers.
    fn there(&self, vpu: &Vpu) -> Vec<String> {
        let mut exec = Command::new(crate::device::root().join("docker/vpu/exec"));
        exec.args(["--address", &vpu.address, "--", "sh", "-c", "cat >/dev/shm/patterns"]);
        must(exec.stdin(fs::File::open(self.folder.path().join("patterns")).expect("opened")));
        let look = "export LC_ALL=C
            grep -rlaF -f /dev/shm/patterns /home /root /tmp /var /run /etc /usr/share/oem \
                --exclude-dir=docker --exclude-dir=containerd --exclude-dir=journal 2>/dev/null
            journalctl --no-pager -o cat | grep -aF -f /dev/shm/patterns | sed 's/^/journal: /'
            journalctl --no-pager -o json | grep -aF -f /dev/shm/patterns | sed 's/^/journal: /'
            true";
        let mut found: Vec<_> = vpu.root(look).lines().map(str::to_owned).collect();
        found.sort();
        found
    }
}

/// Watches what processes show of themselves, on both sides: the processes of virtual VPUs are processes here as well.
struct Watch {
    ends: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeSet<String>>>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn start(patterns: &Patterns, oem: u32) -> Self {
        let (ends, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let (end, into) = (ends.clone(), seen.clone());
        let forms: Vec<Vec<u8>> = patterns.all.iter().map(|form| form.clone().into_bytes()).collect();
        let firsts: BTreeSet<[u8; 4]> = forms.iter().filter_map(|form| form.first_chunk().copied()).collect();
        let holds = move |bytes: &[u8]| {
            let candidates = bytes
                .windows(4)
                .enumerate()
                .filter(|(_, window)| window.first_chunk().is_some_and(|first| firsts.contains(first)));
            candidates.map(|(at, _)| &bytes[at..]).any(|rest| forms.iter().any(|form| rest.starts_with(form)))
        };
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").expect("processes").flatten().map(|entry| entry.path()) {
                    let line = fs::read(process.join("cmdline")).unwrap_or_default();
                    let shown = String::from_utf8_lossy(&line).replace('\0', " ");
                    // The user gives a value on the command line, and so it is on that of the program.
                    let is_own = line.starts_with(env!("CARGO_BIN_EXE_o3r-deploy").as_bytes());
                    if !is_own && holds(&line) {
                        into.lock().expect("no panic").insert(format!("command line of {shown}"));
                    }
                    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
                    let is_oem = status
                        .lines()
                        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(1) == Some(&oem.to_string()));
                    if is_oem && holds(&fs::read(process.join("environ")).unwrap_or_default()) {
                        into.lock().expect("no panic").insert(format!("environment of {shown}"));
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        Self { ends, seen, thread }
    }

    fn end(self) -> BTreeSet<String> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().expect("joined");
        let seen = self.seen.lock().expect("no panic");
        seen.clone()
    }
}

const DEPLOYMENT: &str = r#"
application: app
device: { password: !env VPU_PASSWORD }
logs: [{ remote: ~/share/logs, local: ./logs }]
image: [{ source: ./app.tar }]
compose:
  file: ./docker-compose.yml
  settle: 1
  wait: 30
  set: { IN_FILE: in-f1le-V4lue-78 }
  secrets:
    control: !env CONTROL
    quotes: !file ./own/quotes
    encoded: !command "cat ./own/encoded"
    lines: !file ./own/lines
    long: !file ./own/long
    app.env: !file ./own/app.env
attach: { container: app, until: ready }
"#;

const COMPOSE: &str = r#"
version: "2.4"
services:
  app:
    image: app:1
    container_name: app
    env_file: secrets/app.env
    environment: { DOT_ENV: "${DOT_ENV}", IN_FILE: "${IN_FILE}", OPTION: "${OPTION}", INLINE: "inl1ne-V4lue-79", REVISION: "${REVISION}" }
    volumes: ["./secrets:/secrets:ro", "./forms:/forms:ro"]
    logging: { driver: json-file }
"#;

/// The program, with the secrets that its environment holds.
fn run(vpu: &Vpu, words: &[&str]) -> Output {
    let mut program = vpu.command(words);
    program.env("CONTROL", &secrets()[0].1).env("VPU_PASSWORD", PASSWORD).stdin(Stdio::null());
    program.output().expect("the program runs")
}

#[test]
fn secret_of_any_shape_is_found_nowhere_but_in_its_own_file() {
    let vpu = Vpu::new(OVP80X);
    let mut password = Command::new(crate::device::root().join("docker/vpu/exec"));
    password.args(["--address", &vpu.address, "--", "chpasswd"]).stdin(Stdio::piped());
    let mut password = password.spawn().expect("it starts");
    password.stdin.take().expect("piped").write_all(format!("oem:{PASSWORD}\n").as_bytes()).expect("told");
    assert!(password.wait().expect("it ends").success());

    // What a careless application prints: its secrets as they are and in the forms that libraries write them in.
    let prints = "cat /secrets/*; echo; cat /forms/*; echo \"with $ENVIRONMENT_TOKEN\"; echo ready";
    vpu.write("o3r-deploy.yaml", DEPLOYMENT.replace("./app.tar", "./own/app.tar"));
    vpu.write("docker-compose.yml", COMPOSE);
    vpu.write(".env", "DOT_ENV=d0t-env-V4lue\\77\nREVISION=1\n");
    for (name, value) in secrets().into_iter().skip(1) {
        vpu.write(&format!("own/{name}"), value);
    }
    Image::new("app:1", &format!("{prints}; sleep 100000")).save(&vpu.home.path().join("own/app.tar"));
    let printed: String = secrets()
        .iter()
        .filter(|(_, value)| value.len() < 1000)
        .flat_map(|(_, value)| {
            let json = serde_json::to_string(value).expect("JSON");
            let url = value.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let basic = BASE64_STANDARD.encode(format!("user:{value}"));
            [
                basic,
                BASE64_STANDARD.encode(value),
                json.clone(),
                serde_json::to_string(&json).expect("JSON"),
                format!("{value:?}"),
                url,
            ]
        })
        .map(|line| line + "\n")
        .collect();
    vpu.write("forms/printed", printed);

    let patterns = Patterns::new();
    let oem: u32 = vpu.root("id -u oem").trim().parse().expect("a number");
    let watch = Watch::start(&patterns, oem);
    let option = format!("OPTION={BY_OPTION}");
    let mut said = String::new();
    let mut runs = |code: i32, words: &[&str]| {
        let output = run(&vpu, &[words, &["--log_level", "DEBUG"]].concat());
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", text(&output));
        let all = text(&output);
        let found = patterns.within(&all);
        let lines: Vec<_> = all.lines().filter(|line| found.iter().any(|form| line.contains(form.as_str()))).collect();
        assert!(found.is_empty(), "{words:?} shows {found:?}: {lines:?}");
        said += &all;
    };
    runs(0, &["plan", "--accept-new", "--set", &option]);
    runs(0, &["--accept-new", "--set", &option]);
    vpu.write(".env", "DOT_ENV=d0t-env-V4lue\\77\nREVISION=2\n");
    vpu.write("own/encoded", secrets()[2].1.replace("==", "="));
    runs(0, &["--json", "--set", &option]);
    vpu.write("own/encoded", &secrets()[2].1);
    Image::new("app:1", &format!("{prints}; exit 3")).save(&vpu.home.path().join("own/app.tar"));
    runs(17, &["--set", &option]);
    for words in
        [&["doctor"][..], &["doctor", "--json"], &["history"], &["history", "--json"], &["verify", "--json"], &["rollback"]]
    {
        runs(0, words);
    }
    let seen = watch.end();
    assert!(seen.is_empty(), "{seen:?}");
    assert!(said.contains("‹secret›") && said.contains("ready"), "{said}");

    let mine = ["./.env", "./docker-compose.yml", "./o3r-deploy.yaml"].map(|name| name.replace("./", "~/"));
    let here: Vec<_> = patterns
        .here(vpu.home.path())
        .into_iter()
        .filter(|path| !path.starts_with("~/own/") && !path.starts_with("~/forms/"))
        .collect();
    assert_eq!(here, mine, "on this computer");
    let is_own = |path: &&String| {
        let path = path.strip_prefix("/home/oem/.o3r-deploy/app/previous/files").unwrap_or(path);
        ["/home/oem/app/secrets/", "/home/oem/app/forms/"].iter().any(|own| path.starts_with(own))
            || ["/home/oem/app/.env", "/home/oem/app/docker-compose.yml"].contains(&path)
    };
    let there = patterns.there(&vpu);
    let others: Vec<_> = there.iter().filter(|path| !is_own(path)).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(there.iter().any(|path| path.ends_with("/app/secrets/long")), "what is there is found: {there:?}");
    let modes = vpu
        .root("find /home/oem/app/secrets /home/oem/.o3r-deploy/app/previous/files/home/oem/app/secrets -type f ! -perm 600");
    assert_eq!(modes, "", "all secrets are the user's alone");

    // Whatever were somewhere would be found.
    let json = serde_json::to_string(&secrets()[1].1).expect("JSON");
    vpu.write("o3r_logs/planted", &json);
    assert!(patterns.here(vpu.home.path()).contains(&"~/o3r_logs/planted".to_owned()));
    assert!(!patterns.within(&format!("… {json} …")).is_empty());
    vpu.root("echo planted in-f1le-V4lue-78 | tee /tmp/planted | systemd-cat");
    wait_for_journal(&vpu, &patterns);
    let watch = Watch::start(&patterns, oem);
    Command::new("sleep").arg0("inl1ne-V4lue-79").arg("0.3").status().expect("it runs");
    assert_eq!(watch.end().len(), 1);
}

fn wait_for_journal(vpu: &Vpu, patterns: &Patterns) {
    crate::witness::wait_for("what is planted on the device", || {
        let found = patterns.there(vpu);
        (found.contains(&"/tmp/planted".to_owned()) && found.iter().any(|line| line.starts_with("journal: "))).then_some(())
    });
}
