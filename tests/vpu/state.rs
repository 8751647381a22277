//! All that a failed run has to leave as it was: the device's files, docker, what runs there and what was set, and the folders
//! of the user's home.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::device::{Vpu, must};

/// Said by root on the device: one line for each thing that is there. Names are quoted, so that each stays one line.
const LOOK: &str = r#"
cd /
find home/oem usr/share/oem -exec stat -c '%N %F %a %U' {} + | sed 's/^/path /'
find home/oem usr/share/oem -type f -exec b2sum {} + | sed 's/^/file /'
if systemctl is-active --quiet docker.socket docker; then
  docker image ls --all --no-trunc --format 'image {{.ID}} {{.Repository}}:{{.Tag}}'
  docker container ls --all --no-trunc --format 'container {{.ID}} {{.Names}} {{.State}}'
  docker volume ls --format 'volume {{.Name}}'
  docker network ls --no-trunc --format 'network {{.ID}} {{.Name}}'
fi
find var/lib/docker/image var/lib/docker/tmp -type f 2>/dev/null | sed 's/^/docker /'
ps -u oem -o args= | grep -v -e '^/lib/systemd/systemd --user' -e '^(sd-pam)' -e '^sshd: ' | sed 's/^/process /'
grep -c -e '"set"' -e '"saveInit"' /var/log/vpu/rpc.log | sed 's/^/settings made: /'
exit 0
"#;

/// What there is, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State(BTreeSet<String>);

impl State {
    /// The same without some lines.
    pub fn without(self, goes: impl Fn(&str) -> bool) -> Self {
        Self(self.0.into_iter().filter(|line| !goes(line)).collect())
    }
}

impl Vpu {
    /// What there is on the device and in the user's home. The program's own log files are left out: there is a new one for
    /// every run.
    pub fn whole_state(&self) -> State {
        let mut lines: BTreeSet<_> = self.root(LOOK).lines().map(str::to_owned).collect();
        let find = "find . \\( -path ./o3r_logs/Deployments -o -path ./.cache \\) -prune -o ! -path ./o3r_logs -printf '%P %y %m %l\\n' -type f -exec b2sum {} +";
        let here = must(std::process::Command::new("sh").args(["-c", find]).current_dir(self.home.path()));
        lines.extend(here.lines().map(|line| format!("here {line}")));
        State(lines)
    }

    /// Checks that all is as it was, at the latest after ten seconds: what was ended on the device may take a moment to end.
    #[track_caller]
    pub fn assert_as_before(&self, before: &State) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let after = self.whole_state();
            if after == *before {
                return;
            }
            if Instant::now() > deadline {
                let gone = before.0.difference(&after.0).map(|line| format!("- {line}\n"));
                let new = after.0.difference(&before.0).map(|line| format!("+ {line}\n"));
                panic!("the failed run left something behind:\n{}", gone.chain(new).collect::<String>());
            }
        }
    }

    /// Runs the program, which has to fail with `code` and to leave device and home as they were; gives why it failed, in its
    /// own words.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) -> String {
        let before = self.whole_state();
        let said = self.fails(code, words);
        self.assert_as_before(&before);
        said
    }

    /// Runs the program, which has to fail with `code`; gives why it failed, in its own words.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) -> String {
        let (found, said) = self.run(words);
        assert_eq!(found, code, "{said}");
        self.why(&said)
    }

    /// The closing words of a failed run, with what differs from one run to the next masked.
    pub fn why(&self, said: &str) -> String {
        let from = said.find("error: ").unwrap_or_default();
        let home = std::fs::canonicalize(self.home.path()).expect("home").display().to_string();
        let lines = said[from..].lines().filter(|line| !line.starts_with("log: "));
        let lines: Vec<_> = lines.map(|line| line.replace(&self.address, "ADDRESS").replace(&home, "HOME")).collect();
        lines.join("\n")
    }
}
