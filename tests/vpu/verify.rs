//! `o3r-deploy verify --reboot`: the device really reboots, and an application that does not come back is told.

use crate::{
    device::{OVP81X, Vpu, root},
    images::Image,
};

#[test]
fn an_application_that_comes_back_is_told_from_one_that_does_not() {
    let vpu = Vpu::trusted(OVP81X);
    Image::new("web:1", "sleep 100000").save(&vpu.home.path().join("web.tar"));
    let compose = "version: '2.4'\nservices: {web: {image: 'web:1', container_name: web, restart: RESTART}}\n";
    vpu.write("compose.yml", compose.replace("RESTART", "always"));
    vpu.write(
        "o3r-deploy.yaml",
        "application: app\nlogs:\nstamp:\nimage: [{source: ./web.tar}]\ncompose: {file: compose.yml, settle: 1}\n",
    );
    assert_eq!(vpu.run(&["verify"]).0, 10, "nothing is deployed");
    vpu.succeed(&[]);
    let boot = || vpu.root("cat /proc/sys/kernel/random/boot_id");
    let first = boot();
    assert!(vpu.succeed(&["verify"]).contains("`app` runs: 1 container"));
    assert_eq!(boot(), first, "nothing reboots unless it is asked for");
    // A name that docker-compose gives while it makes a container anew is not its own.
    vpu.root("docker rename web 759893e426a5_web");
    assert!(vpu.fails(10, &["verify"]).contains("container `759893e426a5_web` has the interim name of a `docker-compose up`"));
    assert!(vpu.run(&["doctor"]).1.contains("759893e426a5_web has the interim name"));
    vpu.root("docker rename 759893e426a5_web web");
    // Nor below the hands of an application that holds updates off.
    vpu.root(
        "touch /home/oem/share/hold_off.lock && setsid flock /home/oem/share/hold_off.lock \
         sh -c 'touch /held; until [ -e /enough ]; do sleep 0.1; done' </dev/null >/dev/null 2>&1 & \
         until [ -e /held ]; do sleep 0.1; done",
    );
    assert!(vpu.fails(16, &["verify", "--reboot"]).contains("the application holds updates off"));
    assert_eq!(boot(), first);
    vpu.root("touch /enough");
    let said = vpu.succeed(&["verify", "--reboot", "--lock-wait", "20"]);
    assert!(said.contains("1 container came back without help"), "{said}");
    assert_ne!(boot(), first, "it did reboot");
    assert_eq!(vpu.container("web", "{{.State.Running}}"), "true");
    // The fifth is warned of.
    let count = vpu.home.path().join(".cache/o3r-deploy/reboots").join(vpu.serial());
    assert_eq!(std::fs::read_to_string(&count).expect("counted"), "1");
    std::fs::write(&count, "4").expect("written");
    let said = vpu.succeed(&["verify", "--reboot"]);
    assert!(said.contains("soft reboot 5") && root().is_dir(), "{said}");
}
