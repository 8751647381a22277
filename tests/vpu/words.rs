//! Words through the real shell of a device and back: whatever they hold, they come back unchanged.
//!
//! `O3R_WORDS=100000 cargo nextest run --profile long --test vpu -E 'test(random_words)'` is the long run; `O3R_WORDS_SEED` is
//! where it begins.

use o3r_deploy::{
    command::Command,
    remote::{
        Remote,
        ssh::{Ask, Target, connect},
    },
    secret::Secret,
};

use crate::device::{OVP80X, OVP81X, Vpu};

/// Words of one command: together with their quotes they stay below what the kernel takes as one word, 128 KiB.
const AT_ONCE: usize = 500;

/// What shells, `printf`, `echo` and readers of lines treat in their own way.
const ODD: &[&str] = &[
    "'",
    "\"",
    "\\",
    "$",
    "`",
    "!",
    "#",
    "&",
    ";",
    "|",
    "<",
    ">",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "*",
    "?",
    "~",
    "=",
    "%",
    "\n",
    "\r",
    "\t",
    " ",
    "-n",
    "--",
    "$(reboot)",
    "${HOME}",
    "\\0",
    "\\c",
    "%s",
    "~root",
    "'\\''",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{1}",
];

struct Nobody;

impl Ask for Nobody {
    fn confirm(&mut self, _: &str) -> Option<bool> {
        None
    }

    fn secret(&mut self, _: &str) -> Option<Secret> {
        None
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// Of up to 24 parts; every character but NUL may be in it, and with them every byte that can be in UTF-8.
    fn word(&mut self) -> String {
        let parts = self.below(25);
        let mut word = String::new();
        for _ in 0..parts {
            match self.below(4) {
                0 => word.push_str(ODD[self.below(ODD.len() as u64) as usize]),
                1 => word.push(char::from(1 + self.below(127) as u8)),
                2 => word.extend(char::from_u32(0x80 + self.below(0x780) as u32)),
                _ => word.extend(char::from_u32(1 + self.below(0x10_ffff) as u32)),
            }
        }
        word
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn random_words_come_back_from_the_shell_of_a_device_unchanged() {
    let count = number("O3R_WORDS").unwrap_or(4000) as usize;
    let seed = number("O3R_WORDS_SEED").unwrap_or(88_172_645_463_325_252);
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        let target = Target {
            identity: Some(vpu.home.path().join(".ssh/id_o3r")),
            known_hosts: vec![vpu.home.path().join(".ssh/known_hosts")],
            agent: None,
            keys: Vec::new(),
            ..Target::new(vpu.address.clone())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut random = Random(seed);
        let mut came_back = 0;
        runtime.block_on(async {
            let remote = connect(&target, &mut Nobody).await.map_err(|error| error.to_string()).expect("connected");
            while came_back < count / 2 {
                let words: Vec<_> = (0..AT_ONCE.min(count / 2 - came_back)).map(|_| random.word()).collect();
                // Once as words of a command, once as words of a script.
                let straight = Command::new("printf").arg("%s\\0").args(words.clone());
                let script = Command::script(include_str!("words.sh")).args(words.clone());
                for command in [straight, script] {
                    let answer = remote.check(&command).await.map_err(|error| error.to_string()).expect("it ran");
                    let back: Vec<_> = answer.split(|byte| *byte == 0).take(words.len()).map(<[u8]>::to_vec).collect();
                    let sent: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
                    let differs = sent.iter().zip(&back).position(|(sent, back)| sent != back);
                    assert_eq!(differs.map(|at| &words[at]), None, "seed {seed}, after {came_back} words");
                    assert_eq!(sent.len(), back.len());
                }
                came_back += words.len();
            }
        });
        eprintln!("{}: {came_back} words, each twice, seed {seed}", kind.profile);
    }
}
