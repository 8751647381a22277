//! `o3r-deploy doctor`: every symptom has its line, and the right one is wrong.

use crate::{
    device::{OVP80X, OVP81X, Vpu, text},
    images::Image,
    witness::wait_for,
};

/// The lines that are not fine, from `--json`.
fn noted(said: &str) -> Vec<(String, String)> {
    let lines = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let texts = lines.map(|line| ["check", "state"].map(|key| line[key].as_str().expect("a text").to_owned()));
    texts.filter(|[_, state]| state == "wrong" || state == "attention").map(|[check, state]| (check, state)).collect()
}

fn has(noted: &[(String, String)], check: &str, state: &str) -> bool {
    noted.iter().any(|(name, found)| name == check && found == state)
}

#[test]
fn a_device_that_is_well_has_nothing_wrong_and_one_that_is_not_is_told_why() {
    let vpu = Vpu::trusted(OVP81X);
    vpu.ssh("mkdir -p ~/share");
    let before = vpu.whole_state();
    let (code, said) = vpu.run(&["doctor", "--json"]);
    let well = noted(&said);
    assert!(code == 0 && well.iter().all(|(_, state)| state != "wrong"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with('{')).count(), 25, "{said}");
    vpu.assert_as_before(&before);

    Image::new("loop:1", "exit 3").save(&vpu.home.path().join("loop.tar"));
    vpu.load_image(&vpu.home.path().join("loop.tar"));
    vpu.root("docker run --detach --restart always --log-driver none --name loop loop:1 && touch /home/oem/share/by_root");
    wait_for("a loop", || (vpu.container("loop", "{{.RestartCount}}").parse::<u32>().ok()? > 3).then_some(()));
    let (code, said) = vpu.run(&["doctor", "--json"]);
    let ill = noted(&said);
    assert_eq!(code, 15, "{said}");
    assert!(
        has(&ill, "restarts", "wrong") && has(&ill, "log_driver", "attention") && has(&ill, "files", "attention"),
        "{said}"
    );
    let (_, said) = vpu.run(&["doctor"]);
    assert!(said.contains("loop restarts in a loop") && said.contains("-> "), "{said}");
}

#[test]
fn where_nobody_answers_or_lets_in_the_way_is_told_as_far_as_it_goes() {
    let vpu = Vpu::trusted(OVP80X);
    for (words, code, wrong) in [
        (&["--port", "1"][..], 4, "port"),
        (&["--IP", "nowhere.invalid"], 4, "address"),
        (&["--port", "80"], 4, "ssh"),
        (&["--identity", "no such key"], 3, "key"),
    ] {
        let (found, said) = vpu.run(&[&["doctor", "--json"], words].concat());
        assert_eq!(found, code, "{said}");
        assert_eq!(
            noted(&said).into_iter().filter(|(_, state)| state == "wrong").map(|(name, _)| name).collect::<Vec<_>>(),
            [wrong]
        );
    }
    // Somebody who has the key and has never met the device.
    let home = tempfile::tempdir().expect("a home");
    let key = vpu.home.path().join(".ssh/id_o3r").display().to_string();
    let output = vpu.command(&["doctor", "--json", "--identity", &key]).env("HOME", home.path()).output().expect("it runs");
    let said = text(&output);
    assert!(output.status.code() == Some(5) && has(&noted(&said), "host_key", "wrong"), "{said}");
    assert!(!home.path().join(".ssh/known_hosts").exists(), "nothing is accepted");
}
