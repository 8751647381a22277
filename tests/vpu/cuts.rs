//! Cuts at random points of a whole deployment, the first of an application or an update, beside another application that runs: after
//! each, the same command run again ends in the same state as a run that nothing disturbed, and so does a power cut after that. The
//! points are seeded: `O3R_CUTS` is their number (4), `O3R_CUTS_SEED` the first seed (1).

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use crate::{
    device::{Kind, OVP80X, OVP81X, Vpu, must},
    images::{Image, noise},
    proxy::{Fault, Proxy, When},
    witness::{wait_for, wait_within},
};

const FILE: &str = r#"
application: app
logs: [{ remote: ~/share/logs, local: ./logs }]
rename: "cut bench"
directories: ["~/my data/deep"]
transfers:
  from_device: [{ remote: ~/share/results, local: ./results }]
  to_device: [{ local: ./tree, remote: ~/share/tree }]
volume: [{ name: share, path: ~/share }]
image: [{ source: ./app.tar, name: "app:1" }]
leftovers: [~/share/old]
compose: { file: ./docker-compose.yml, directory: ~/app, wait: 60, settle: 1, secrets: { token: !file ./token } }
autostart: { enable: [{ service: app }] }
attach: { container: app, until: "app ready" }
"#;

const COMPOSE: &str = r#"
version: "2.4"
services:
  app:
    image: app:1
    container_name: app
    restart: unless-stopped
    env_file: app.env
    volumes: ["share:/share", "./settings:/settings:ro", "./secrets:/run/secrets:ro"]
volumes: { share: { external: true } }
"#;

/// Another application, which nothing of this is to touch.
const OTHER: &str = r#"
application: other
logs:
stamp: ""
directories:
image: [{ source: ./other.tar, name: "other:1" }]
compose: { file: ./docker-compose.yml, directory: ~/other, settle: 0 }
autostart: { enable: [{ service: other }] }
"#;

const OTHER_COMPOSE: &str =
    "version: '2.4'\nservices: {other: {image: 'other:1', container_name: other, restart: unless-stopped}}\n";

const APP: &str = "mkdir -p /share/logs/app
test -s /run/secrets/token || exit 1
echo \"run with $GREETING and $(cat /settings/motto)\" >> /share/logs/app/app.log
touch /tmp/ready
echo app ready
sleep 100000";

/// Said by root: all that the deployment owns, a line each, without what differs from one container to the next.
const DIGEST: &str = r#"
cd /
find home/oem usr/share/oem -path home/oem/.ssh -prune -o -path home/oem/share/logs/app/app.log -prune -o -printf 'path %p %y %m %u %l\n'
find home/oem usr/share/oem -path home/oem/.ssh -prune -o -path home/oem/share/logs -prune -o -path home/oem/share/Deployments -prune -o -type f ! -name history.jsonl ! -path '*/previous/state' -exec sha256sum {} +
for file in home/oem/.o3r-deploy/*/previous/state; do if [ -f $file ]; then grep -v '^stamp ' $file | sha256sum | sed "s|-\$|$file|"; fi; done
grep -c -v -E '^[0-9]{2}(\.[0-9]{2}){2}_[0-9.]{8}[+-][0-9]{4}(_[0-9]+)?$' home/oem/share/Deployments | sed 's/^/stamps that are none /'
sort home/oem/share/Deployments | uniq -d | sed 's/^/stamp twice /'
docker image ls --all --no-trunc --format 'image {{.ID}} {{.Repository}}:{{.Tag}}'
docker container ls --all --quiet | xargs -r docker container inspect --format 'container {{.Name}} {{.Image}} {{.State.Status}} {{.State.Health.Status}} {{.HostConfig.RestartPolicy.Name}}'
docker container ls --all --quiet | xargs -r docker container inspect --format '{{range .HostConfig.Binds}}bind {{.}}{{println}}{{end}}'
docker volume ls --quiet | xargs -r docker volume inspect --format 'volume {{.Name}} {{.Driver}} {{.Options}}'
docker network ls --format 'network {{.Name}}'
find var/lib/docker/image var/lib/docker/tmp ! -path '*/layerdb/mounts/*' ! -name repositories.json ! -name lastUpdated -type f | sed 's/^/docker /'
su oem -c 'XDG_RUNTIME_DIR=/run/user/989 systemctl --user list-unit-files "oem-dc*" --no-pager --no-legend' | sed 's/^/unit /'
ps -u oem -o args= | grep -v -e '^/lib/systemd/systemd --user' -e '^(sd-pam)' -e '^sshd: ' -e '^su ' -e '/usr/bin/docker-compose up$' | sed 's/^/process /'
"#;

/// The same of the user's home: the program's own logs and keys are left out, and what the application logged differs.
const DIGEST_HERE: &str = r"find . \( -path ./o3r_logs -o -path ./.ssh -o -path ./.o3r-deploy -o -path ./.cache \) -prune -o -printf 'here %p %y %m %l\n'
find . \( -path ./o3r_logs -o -path ./.ssh -o -path ./.o3r-deploy -o -path ./.cache -o -name app.log \) -prune -o -type f -exec sha256sum {} +";

/// Bytes that may be sent again after a cut. Two layers of the image are under way at once, of 2 MB and of 1 MiB.
const AGAIN: u64 = 4 << 20;

/// A random number that is the same in every run of the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // splitmix64: each seed of a row gives a row of its own.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % limit.max(1)
    }
}

/// What befalls a run.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// The connection, at this byte of all that travels.
    Bytes(Fault, u64),
    /// The connection, at this time.
    Time(Fault, Duration),
    /// The program, by `kill -9`, at this time.
    Kill(Duration),
}

/// What happens after the blow, before the command is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aftermath {
    /// Nothing: the command comes at once.
    Nothing,
    /// The device loses its power, and boots.
    PowerCut,
    /// Nobody comes for a minute.
    Silence,
}

impl Aftermath {
    fn of(seed: u64) -> Self {
        match seed % 4 {
            0 => Self::Silence,
            1 => Self::PowerCut,
            _ => Self::Nothing,
        }
    }
}

/// How an undisturbed run ended, and what it cost.
struct Undisturbed {
    before: Vec<String>,
    digest: Vec<String>,
    bytes: u64,
    sent: u64,
    took: Duration,
}

impl Vpu {
    /// The digest once nothing of the run's runs any more on the device.
    fn settled(&self) -> Vec<String> {
        wait_for("the end of all that the run began", || {
            Some(self.digest()).filter(|digest| !digest.iter().any(|line| line.starts_with("process ")))
        })
    }

    /// Waits until the digest is this one.
    fn comes_to(&self, right: &[String], context: &str, said: &str) {
        let mut last = Vec::new();
        let same = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for("the same state", || {
                last = self.digest();
                (last == right).then_some(())
            });
        }));
        assert!(same.is_ok(), "{context}: another state than without it:\n{}\n{said}", difference(right, &last));
    }

    fn digest(&self) -> Vec<String> {
        let here = must(std::process::Command::new("sh").args(["-c", DIGEST_HERE]).current_dir(self.home.path()));
        let mut lines: Vec<_> = self.root(DIGEST).lines().chain(here.lines()).map(str::to_owned).collect();
        lines.push(format!("name {}", self.name()));
        lines.sort();
        lines
    }
}

/// What is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deployment {
    First,
    /// Of an application that this tool has brought up: image, files and settings are other ones.
    Update,
}

/// A device on which the first version runs, if it is an update, and a home with what is to be deployed.
fn prepared(kind: Kind, deployment: Deployment, archives: &Archives) -> Vpu {
    let vpu = with_a_past(kind, &archives.first);
    if deployment == Deployment::Update {
        vpu.succeed(&["--yes", "--accept-new"]);
        vpu.write("app.env", "GREETING=hello again\n");
        vpu.write("token", "another-secret-value");
        vpu.write("settings/motto", "ad astra");
        vpu.write("settings/more", "more");
        vpu.write("tree/small/3", "another file 3");
        vpu.write("tree/new/file", "new");
        vpu.write("app.tar", &archives.second);
    }
    vpu
}

/// A new device with a past, and a home with the deployment.
fn with_a_past(kind: Kind, archive: &[u8]) -> Vpu {
    let vpu = Vpu::trusted(kind);
    vpu.write("o3r-deploy.yaml", FILE);
    vpu.write("docker-compose.yml", COMPOSE);
    vpu.write("token", "a-secret-value");
    vpu.write("other/o3r-deploy.yaml", OTHER);
    vpu.write("other/docker-compose.yml", OTHER_COMPOSE);
    Image::new("other:1", "sleep 100000").save(&vpu.home.path().join("other/other.tar"));
    vpu.succeed(&["--config", "other/o3r-deploy.yaml", "--yes", "--allow-architecture"]);
    vpu.write("app.env", "GREETING=hello world\n");
    vpu.write("settings/motto", "per aspera");
    vpu.write("tree/big", noise(3 << 20));
    for number in 0..20 {
        vpu.write(&format!("tree/small/{number}"), format!("file {number}"));
    }
    vpu.write("app.tar", archive);
    vpu.ssh(
        "mkdir -p ~/share/results/deep ~/share/old ~/share/logs/earlier && printf 1 >~/share/results/deep/1 &&
         head -c 2000000 /dev/zero | tr '\\0' x >~/share/results/big && printf x >~/share/old/x && echo earlier >~/share/logs/earlier/e.log",
    );
    vpu
}

/// An image of 2 MB and six layers of 1 MiB, and one of which the last three are other ones.
struct Archives {
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Archives {
    fn new() -> Self {
        let bytes = noise(9 << 20);
        let layers: Vec<_> = bytes.chunks(1 << 20).collect();
        let archive = |numbers: &[usize]| {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("app.tar");
            let image = Image::new("app:1", APP).health("test -e /tmp/ready");
            let layer = |image: Image, (place, number): (usize, &usize)| {
                image.layer(&format!("data/{place}"), 0o644, layers[*number].to_vec())
            };
            numbers.iter().enumerate().fold(image, layer).save(&path);
            fs::read(path).expect("the archive")
        };
        Self { first: archive(&[0, 1, 2, 3, 4, 5]), second: archive(&[0, 1, 2, 6, 7, 8]) }
    }
}

fn words(proxy: &Proxy) -> Vec<String> {
    ["--yes", "--accept-new", "--reconnects", "0", "--port"]
        .map(str::to_owned)
        .into_iter()
        .chain([proxy.port.to_string()])
        .collect()
}

fn undisturbed(kind: Kind, deployment: Deployment, archives: &Archives) -> Undisturbed {
    let vpu = prepared(kind, deployment, archives);
    let before = vpu.digest();
    let proxy = Proxy::new(&vpu.address, 22);
    let words = words(&proxy);
    let begin = Instant::now();
    vpu.succeed(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let took = begin.elapsed();
    let (up, down) = proxy.passed();
    let digest = vpu.settled();
    vpu.power_cut();
    vpu.comes_to(&digest, "a power cut after an undisturbed run", "");
    Undisturbed { before, digest, bytes: up + down, sent: up, took }
}

fn blow(random: &mut Random, whole: &Undisturbed) -> Blow {
    let time = |random: &mut Random| whole.took.mul_f64(random.below(1000) as f64 / 1000.0);
    match random.below(100) {
        0..40 => Blow::Bytes(Fault::Cut, random.below(whole.bytes)),
        40..75 => Blow::Time(Fault::Cut, time(random)),
        75..97 => Blow::Kill(time(random)),
        97..99 => Blow::Bytes(Fault::Stall, random.below(whole.bytes)),
        _ => Blow::Time(Fault::Stall, time(random)),
    }
}

/// What one blow cost.
struct Cost {
    /// Whether the run was hit before its end.
    hit: bool,
    /// Bytes sent more than in an undisturbed run.
    again: u64,
}

/// Strikes a run, checks that nothing half is seen, and runs it again.
fn strike(kind: Kind, deployment: Deployment, archives: &Archives, whole: &Undisturbed, seed: u64) -> Cost {
    let blow = blow(&mut Random(seed), whole);
    let aftermath = Aftermath::of(seed);
    let context = format!("seed {seed}, {kind:?}, {deployment:?}, {blow:?}, {aftermath:?}");
    let vpu = prepared(kind, deployment, archives);
    let other = vpu.container("other", "{{.Id}} {{.State.StartedAt}}");
    let proxy = Proxy::new(&vpu.address, 22);
    let words = words(&proxy);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut program = vpu.start(&words);
    match blow {
        Blow::Bytes(fault, bytes) => proxy.arm(fault, When::Bytes(bytes)),
        Blow::Time(fault, time) => proxy.arm(fault, When::After(time)),
        Blow::Kill(time) => {
            let end = Instant::now() + time;
            while program.runs() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
            program.signal_if_running("KILL");
        }
    }
    let begin = Instant::now();
    let (code, said) = program.end();
    assert!(begin.elapsed() < whole.took + Duration::from_secs(40), "{context}: it hung for {:?}: {said}", begin.elapsed());
    let hit = code != 0;
    if !matches!(blow, Blow::Kill(_)) {
        assert!([0, 4, 12].contains(&code), "{context}: exit code {code}: {said}");
    }
    check_nothing_half(&vpu, whole, &context);
    match aftermath {
        Aftermath::Nothing => {}
        Aftermath::PowerCut => {
            // The connection through the proxy is gone with the device.
            proxy.mend();
            vpu.power_cut();
            check_one_version(&vpu, deployment, whole, &format!("{context}: after the boot: {said}"));
        }
        Aftermath::Silence => {
            proxy.mend();
            wait_within(Duration::from_secs(60), &format!("{context}: the end of all processes on the device"), || {
                (!vpu.digest().iter().any(|line| line.starts_with("process "))).then_some(())
            });
            check_one_version(&vpu, deployment, whole, &format!("{context}: a minute later: {said}"));
        }
    }
    proxy.let_new_ones_pass();
    let (code, again_said) = vpu.run(&words);
    assert_eq!(code, 0, "{context}: the second run: {again_said}\nthe first: {said}");
    let (up, _) = proxy.passed();
    proxy.mend();
    let both = format!("the first run: {said}\nthe second: {again_said}");
    vpu.comes_to(&whole.digest, &context, &both);
    if aftermath != Aftermath::PowerCut {
        let now = vpu.container("other", "{{.Id}} {{.State.StartedAt}}");
        assert_eq!(now, other, "{context}: the other application was touched");
    }
    vpu.power_cut();
    vpu.comes_to(&whole.digest, &format!("{context}: after a boot at the end"), &both);
    let again = up.saturating_sub(whole.sent);
    assert!(again <= AGAIN, "{context}: {again} bytes sent again\nthe first run: {said}\nthe second: {again_said}");
    Cost { hit, again }
}

/// What the device runs now and starts at the next boot: containers, and the files and units of the application. Of a first
/// deployment files may lie there that nothing starts.
fn release(digest: &[String], deployment: Deployment) -> Vec<&String> {
    let own = |line: &str| {
        let is_file = deployment == Deployment::Update && line.contains("home/oem/app/") && !line.contains("/.o3r-");
        is_file || ["container ", "bind ", "unit "].iter().any(|kind| line.starts_with(kind))
    };
    digest.iter().filter(|line| own(line)).collect()
}

/// The application is wholly the version of before or wholly the new one, once the guard has done its work.
fn check_one_version(vpu: &Vpu, deployment: Deployment, whole: &Undisturbed, context: &str) {
    let mut last = Vec::new();
    let one = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_within(Duration::from_secs(60), "one version", || {
            last = vpu.digest();
            let is = |known: &[String]| release(&last, deployment) == release(known, deployment);
            (is(&whole.before) || is(&whole.digest)).then_some(())
        });
    }));
    assert!(
        one.is_ok(),
        "{context}\nneither the version before:\n{}\nnor the new one:\n{}",
        difference(&whole.before, &last),
        difference(&whole.digest, &last)
    );
}

/// Every file that is there under its name is whole: it has the content that it has in the end, or that it had before.
fn check_nothing_half(vpu: &Vpu, whole: &Undisturbed, context: &str) {
    let sums = |lines: &[String]| {
        let is_sum = |sum: &str| sum.len() == 64 && sum.chars().all(|c| c.is_ascii_hexdigit());
        let sum = |line: &String| {
            line.split_once("  ").filter(|(sum, _)| is_sum(sum)).map(|(sum, path)| (path.to_owned(), sum.to_owned()))
        };
        lines.iter().filter_map(sum).collect::<BTreeMap<_, _>>()
    };
    let (before, right, found) = (sums(&whole.before), sums(&whole.digest), sums(&vpu.digest()));
    for (path, sum) in found {
        let hidden = ["/.o3r-deploy", "/.o3r-", "/o3r-deploy-guard"].iter().any(|own| path.contains(own));
        let fine = hidden || [&before, &right].iter().any(|known| known.get(&path) == Some(&sum));
        assert!(fine, "{context}: {path} is half there");
    }
}

fn difference(right: &[String], found: &[String]) -> String {
    let only = |sign: &'static str, one: &[String], other: &[String]| {
        one.iter().filter(|line| !other.contains(line)).map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    only("-", right, found) + &only("+", found, right)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn cuts(kind: Kind, deployment: Deployment) {
    let (count, first) = (number("O3R_CUTS").unwrap_or(4) / 4, number("O3R_CUTS_SEED").unwrap_or(1));
    let archives = Archives::new();
    let whole = undisturbed(kind, deployment, &archives);
    let (mut costs, mut failed) = (Vec::new(), Vec::new());
    for seed in first..first + count {
        let begin = Instant::now();
        // All are told, not only the first.
        let struck = std::panic::catch_unwind(|| strike(kind, deployment, &archives, &whole, seed));
        let took = begin.elapsed().as_secs_f64();
        match struck {
            Ok(cost) => {
                let (profile, hit, again) = (kind.profile, cost.hit, cost.again);
                eprintln!("{profile} seed {seed} {deployment:?}: hit {hit}, {again} bytes sent again, {took:.1} s");
                costs.push(cost);
            }
            Err(_) => failed.push(seed),
        }
    }
    let most = costs.iter().map(|cost| cost.again).max().unwrap_or_default();
    let hit = costs.iter().filter(|cost| cost.hit).count();
    let (profile, survived) = (kind.profile, costs.len());
    let bytes = whole.bytes;
    eprintln!(
        "{profile}, {deployment:?}: {survived} of {count} cuts survived, {hit} of them before the run's end; of {bytes} bytes at most {most} sent again"
    );
    assert!(failed.is_empty(), "seeds {failed:?} failed");
}

#[test]
fn after_a_cut_anywhere_a_first_deployment_ends_in_the_same_state_on_an_ovp81x() {
    cuts(OVP81X, Deployment::First);
}

#[test]
fn after_a_cut_anywhere_an_update_ends_in_the_same_state_on_an_ovp81x() {
    cuts(OVP81X, Deployment::Update);
}

#[test]
fn after_a_cut_anywhere_a_first_deployment_ends_in_the_same_state_on_an_ovp80x() {
    cuts(OVP80X, Deployment::First);
}

#[test]
fn after_a_cut_anywhere_an_update_ends_in_the_same_state_on_an_ovp80x() {
    cuts(OVP80X, Deployment::Update);
}

/// Cuts the connection several times within one run, which goes on by itself.
#[test]
fn a_run_whose_connection_is_lost_connects_again_says_so_and_ends_well() {
    let archives = Archives::new();
    let whole = undisturbed(OVP81X, Deployment::First, &archives);
    let vpu = prepared(OVP81X, Deployment::First, &archives);
    let proxy = Proxy::new(&vpu.address, 22);
    let port = proxy.port.to_string();
    let mut program = vpu.start(&["--yes", "--accept-new", "--port", &port]);
    for (stage, number) in [("image: ", 1), ("attach: ", 2)] {
        program.wait_until_it_says(stage);
        proxy.trip(Fault::Cut);
        program.wait_until_it_says(&format!("connecting again in {} s ({number} of at most 8 times)", 1 << (number - 1)));
    }
    let (code, said) = program.end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(proxy.happened(), 2);
    let found = vpu.settled();
    assert!(found == whole.digest, "{}\n{said}", difference(&whole.digest, &found));
    assert_eq!(vpu.root("cat /home/oem/share/Deployments | wc -l").trim(), "1", "one run is one deployment");
    assert_eq!(said.matches("app ready").count(), 1, "no line is shown twice: {said}");
}
