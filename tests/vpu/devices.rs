//! One address, many devices: who is there is told by serial number and host key.

use std::fs;

use crate::{
    device::{OVP81X, Vpu, must, root},
    failures::words,
};

/// Another device at the same address, as when the next one is plugged in: `serial` is its number.
fn plug_in(vpu: &Vpu, serial: &str) {
    let options = ["--address", &vpu.address, "--profile", "ovp81x", "--autostart", "a", "--fresh", "--serial", serial];
    must(std::process::Command::new(root().join("docker/vpu/up")).args(options));
}

fn masked(vpu: &Vpu, said: &str) -> String {
    let fingerprint = said.split("SHA256:").nth(1).and_then(|rest| rest.get(..43)).unwrap_or("SHA256");
    said.replace(fingerprint, "…").replace(&vpu.address, "ADDRESS")
}

/// The host keys of a device, to come back with it.
fn host_keys(vpu: &Vpu) -> String {
    vpu.root("cd /etc/ssh && tar -c ssh_host_* | base64 -w 0")
}

fn give_host_keys(vpu: &Vpu, keys: &str) {
    vpu.root(&format!("cd /etc/ssh && echo {keys} | base64 -d | tar -x && systemctl restart ssh"));
}

fn trust(vpu: &Vpu) {
    vpu.succeed(&["trust", "--accept-new"]);
}

#[test]
fn another_device_at_a_known_address_is_named_and_asked_about_and_known_again_when_it_comes_back() {
    let vpu = Vpu::with(OVP81X, &["--serial", "1001"]);
    trust(&vpu);
    let first = host_keys(&vpu);
    assert!(fs::read_to_string(vpu.home.path().join(".o3r-deploy/devices")).expect("pinned").starts_with("1001 ssh-ed25519 "));

    // Unknown: refused where nobody is asked, and named.
    plug_in(&vpu, "1002");
    let (code, said) = vpu.run(&words(&[]));
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("is not known: SHA256:") && !said.contains("changed"), "{said}");
    let said = vpu.succeed(&["trust", "--accept-new"]);
    assert!(said.contains("this is device 1002, as its host key shows; device 1001 answered at"), "{said}");
    vpu.succeed(&words(&[]));

    // The first comes back: known, and named.
    plug_in(&vpu, "1001");
    give_host_keys(&vpu, &first);
    trust(&vpu);
    plug_in(&vpu, "1002");
    // With a key of its own again: it is the same device by its number only.
    insta::assert_snapshot!(masked(&vpu, &vpu.why(&vpu.run(&words(&["--accept-new"])).1)), @"
    error: connect: device 1002 at `ADDRESS` shows another host key than before: SHA256:…
    hint: a firmware update or a factory reset changes it: if there was one, run `o3r-deploy trust`, which asks; if not, do not go on
    ");
    assert_eq!(vpu.run(&["trust", "--accept-new"]).0, 5, "nobody can be asked");
    vpu.succeed(&["trust", "--accept-changed"]);
    vpu.succeed(&words(&[]));

    // The right key under a wrong number.
    let second = host_keys(&vpu);
    plug_in(&vpu, "1001");
    give_host_keys(&vpu, &second);
    let (code, said) = vpu.run(&words(&["--accept-new"]));
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("says that it is device 1001, and shows the host key of device 1002"), "{said}");
}

#[test]
fn what_port_80_says_is_compared_with_what_the_device_says_of_itself_over_the_connection() {
    let vpu = Vpu::with(OVP81X, &["--serial", "1001"]);
    trust(&vpu);
    // Somebody else answers on port 80 of the address, as far as one outside can see.
    vpu.root(
        r#"cat >/run/liar.py <<'END'
import http.server
class Liar(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        json = '{"device":{"info":{"serialNumber":"6666","name":""}}}'
        body = ("<?xml version='1.0'?><methodResponse><params><param><value><string>%s</string></value></param></params></methodResponse>" % json).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.HTTPServer(("0.0.0.0", 8081), Liar).serve_forever()
END
systemd-run --quiet python3 /run/liar.py
until python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8081))' 2>/dev/null; do sleep 0.1; done
iptables -w -t nat -A PREROUTING -p tcp --dport 80 ! -i lo -j REDIRECT --to-ports 8081"#,
    );
    let said = vpu.fails(5, &words(&["--accept-new"]));
    assert!(said.contains("says that it is device 6666, and shows the host key of device 1001"), "{said}");
    // Even where nothing is pinned yet.
    fs::remove_file(vpu.home.path().join(".o3r-deploy/devices")).expect("removed");
    let said = vpu.fails(5, &words(&["--accept-new"]));
    assert!(said.contains("says that it is device 6666, and the device logged in to is 1001"), "{said}");
}
