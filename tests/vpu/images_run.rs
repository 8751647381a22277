//! The images that the tests make run on the device.

use crate::{
    device::{OVP81X, Vpu},
    images::Image,
};

#[test]
fn an_image_made_in_a_test_runs_is_healthy_and_has_its_id() {
    let vpu = Vpu::trusted(OVP81X);
    let archive = vpu.home.path().join("tiny.tar");
    let id = Image::new("tiny:1", "echo hello from $(uname -m); sleep 1000").health("test -d /tmp").save(&archive);
    vpu.write("docker-compose.yml", "version: '2.4'\nservices: { tiny: { image: 'tiny:1', container_name: tiny } }\n");
    vpu.write(
        "o3r-deploy.yaml",
        "application: tiny\nimage: [{ source: ./tiny.tar }]\ncompose: { file: ./docker-compose.yml }\n",
    );
    vpu.succeed(&[]);
    assert_eq!(vpu.root("docker inspect --format '{{.Image}} {{.State.Health.Status}}' tiny").trim(), format!("{id} healthy"));
    assert_eq!(vpu.root("docker logs tiny").trim(), "hello from aarch64");
}
