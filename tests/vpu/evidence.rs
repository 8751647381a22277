//! Logs that were fetched are never lost, whatever the device does with them, and what could not be fetched is said.

use std::{fs, path::Path, thread};

use crate::{
    device::{OVP81X, Vpu},
    failures::words,
    witness::listing,
};

/// All content of the files below a folder, sorted.
fn contents(folder: &Path) -> Vec<String> {
    let mut all: Vec<_> = listing(folder)
        .iter()
        .map(|name| folder.join(name))
        .filter(|path| !path.is_symlink())
        .map(|path| fs::read_to_string(path).expect("text"))
        .filter(|text| !text.is_empty())
        .collect();
    all.sort();
    all
}

#[test]
fn archive_keeps_old_logs_when_device_truncates_rotates_and_is_renamed() {
    let vpu = Vpu::trusted(OVP81X);
    let pull = |words: &[&str]| vpu.succeed(&[&["--get_logs_from_vpu", "~/share/logs>./pulled"], words].concat());
    let folder = vpu.home.path().join("pulled");
    let logs = folder.join(vpu.folder()).join("logs");
    let read = |name: &str| fs::read_to_string(logs.join(name)).expect("there");
    vpu.ssh("mkdir -p ~/share/logs/empty && cd ~/share/logs && for n in 1 2 3 4 5; do echo line $n; done >app.log && ln -s app.log latest && echo x >other.log");
    pull(&[]);
    assert_eq!(read("latest"), read("app.log"));
    assert!(logs.join("latest").is_symlink() && logs.join("empty").is_dir());
    let old = read("app.log");

    // Begun anew: shorter, and with the same first line.
    vpu.ssh("echo line 1 >~/share/logs/app.log");
    let said = pull(&[]);
    assert!(said.contains("begun anew"), "{said}");
    assert_eq!(read("app.log"), "line 1\n");
    assert_eq!(contents(&logs), ["line 1\n".to_owned(), old.clone(), "x\n".to_owned()]);

    // Longer than before, with another beginning; and the device is called otherwise by now.
    vpu.ssh("for n in 1 2 3 4 5 6 7 8 9; do echo another $n; done >~/share/logs/app.log");
    pull(&["--set_vpu_name", "renamed"]);
    pull(&[]);
    let another = read("app.log");
    assert!(another.ends_with("another 9\n"));
    assert_eq!(contents(&logs).len(), 4);
    assert!(contents(&logs).contains(&old));

    // Rotated: what is here gets its new name, and nothing is there twice.
    vpu.ssh("cd ~/share/logs && echo end >>app.log && mv app.log app.log.1 && echo fresh >app.log");
    let plan = vpu.succeed(&["plan", "--get_logs_from_vpu", "~/share/logs>./pulled"]);
    assert!(plan.contains("rename ") && plan.contains("(4 B of "), "{plan}");
    pull(&[]);
    assert_eq!((read("app.log"), read("app.log.1")), ("fresh\n".to_owned(), another + "end\n"));
    assert_eq!(contents(&logs).len(), 5);
    assert_eq!(fs::read_dir(&folder).expect("there").count(), 1, "one folder for one serial number");
    let said = pull(&[]);
    assert!(said.contains("none is new"), "{said}");
}

#[test]
fn exit_code_says_that_not_all_was_fetched_after_all_else_is_done() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.ssh("mkdir -p ~/share/logs && echo mine >~/share/logs/mine.log");
    vpu.root("cd /home/oem/share/logs && echo x >root.log && chmod 600 root.log && mkdir -m 700 private && echo x >private/x");
    let words = words(&["--get_logs_from_vpu", "~/share/logs>./pulled", "--dirs_to_make", "~/made"]);
    let (code, said) = vpu.run(&words);
    assert_eq!(code, 18, "{said}");
    for path in ["root.log", "private"] {
        assert!(said.contains(&format!("`/home/oem/share/logs/{path}`")), "{said}");
    }
    assert!(said.contains("hint: ") && said.contains("chmod -R a+rX"), "{said}");
    assert_eq!(listing(&vpu.home.path().join("pulled")), [format!("{}/logs/mine.log", vpu.folder())]);
    assert_eq!(vpu.ssh("ls -d ~/made"), "/home/oem/made\n");
    vpu.root("chmod -R a+rX /home/oem/share/logs");
    vpu.succeed(&words);
}

#[test]
fn four_fetches_at_the_same_time_fail_nowhere_and_double_nothing() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.ssh("mkdir -p ~/share/logs/deep && cd ~/share/logs && for n in 1 2 3 4 5 6 7 8; do seq $n 20000 >deep/$n.log; done");
    let folder = vpu.home.path().join("pulled");
    let fetch = ["--get_logs_from_vpu", "~/share/logs>./pulled", "--append_deployment_timestamp_to", "", "--dirs_to_make", ""];
    for round in 0..2 {
        thread::scope(|scope| {
            let fetches: Vec<_> = (0..4).map(|_| scope.spawn(|| vpu.run(&fetch))).collect();
            for fetch in fetches {
                let (code, said) = fetch.join().expect("it ends");
                assert_eq!(code, 0, "{said}");
            }
        });
        let there = vpu.ssh("cd ~/share/logs && find . -type f -exec sha256sum {} + | sort");
        let logs = folder.join(vpu.folder()).join("logs");
        let line = format!("cd {} && find . -type f -exec sha256sum {{}} + | sort", logs.display());
        assert_eq!(crate::device::must(std::process::Command::new("sh").args(["-c", &line])), there);
        assert_eq!(listing(&folder).len(), 8, "round {round}: {:?}", listing(&folder));
        vpu.ssh("cd ~/share/logs/deep && echo more >>1.log && if [ -e 2.log ]; then mv 2.log 9.log; fi");
    }
}
