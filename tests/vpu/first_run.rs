//! The bare command on a new device.

use crate::device::{OVP80X, OVP81X, Vpu};

#[test]
fn the_bare_command_makes_share_and_stamps_the_deployment_once() {
    for kind in [OVP81X, OVP80X] {
        let vpu = Vpu::trusted(kind);
        vpu.succeed(&[]);
        let stamps = vpu.ssh("cat ~/share/Deployments");
        let log = vpu.home.path().join("o3r_logs/Deployments").join(format!("{}.log", stamps.trim()));
        assert!(log.is_file(), "{} is the log of the stamp", log.display());
        let said = vpu.succeed(&[]);
        assert!(said.contains("nothing to change on the device"), "{said}");
        assert_eq!(vpu.ssh("cat ~/share/Deployments"), stamps);
    }
}
