//! Ctrl-C while something is being brought up.

use crate::{
    device::{OVP81X, Vpu},
    images::Image,
};

#[test]
fn ctrl_c_before_an_application_is_healthy_names_the_stage_and_takes_the_application_back() {
    let vpu = Vpu::trusted(OVP81X);
    let archive = vpu.home.path().join("slow.tar");
    Image::new("slow:1", "sleep 1000").health("false").save(&archive);
    vpu.write("docker-compose.yml", "version: '2.4'\nservices: {slow: {image: 'slow:1', container_name: slow}}\n");
    let mut program = vpu.start(&["--image", "slow.tar", "--docker_compose_to_initialize", "docker-compose.yml"]);
    program.wait_until_it_says("not healthy yet");
    program.signal("INT");
    let (code, said) = program.end();
    assert_eq!(code, 130, "{said}");
    assert!(said.contains("error: compose: interrupted"), "{said}");
    assert!(!said.contains("logs_again"), "nothing is begun after it: {said}");
    assert_eq!(vpu.ssh("docker container ls --all --quiet"), "");
}
