//! Broken and hostile archives: a clear error, never a panic, and nothing whole for docker.

use serde_json::json;

use super::{
    fixtures::{Fixture, Member, config, docker_save, file, gzip, layer, load, oci, root_file_system, tar, zstd},
    open, sent,
};
use crate::{
    failure::{Explain, FailureKind},
    image::{ArchiveError, BlobId, ImageError, ImageId},
};

/// Returns the error without the file's name.
fn refusal(bytes: &[u8]) -> String {
    let error = open(bytes, None).expect_err("it is refused");
    assert_eq!(error.kind(), FailureKind::Image, "{error}");
    assert!(error.hint().is_some());
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1);
    text.split_once("is not an image that can be loaded: ").expect("the usual words").1.to_owned()
}

fn small_layer() -> Vec<u8> {
    tar(&[file("opt/a", "a".repeat(3000))])
}

fn manifest(config: &str, tags: &[&str], layers: &[&str]) -> Member {
    file("manifest.json", json!([{"Config": config, "RepoTags": tags, "Layers": layers}]).to_string())
}

#[test]
fn what_is_no_archive_is_refused_with_the_reason() {
    assert_eq!(refusal(b""), "it is empty");
    assert_eq!(refusal(b"hello"), "it is not a tar archive");
    assert_eq!(refusal(&[7; 4096]), "it is not a tar archive");
    assert_eq!(refusal(&gzip(b"hello")), "it is not a tar archive");
    assert_eq!(refusal(b"\xfd7zXZ\0 and so on"), "it is compressed with xz");
    assert_eq!(refusal(b"BZh91AY and so on"), "it is compressed with bzip2");
    let nothing = "it has neither `manifest.json` nor `index.json`, nor is it a root file system, for it has no programs";
    assert_eq!(refusal(&[0; 1024]), nothing);
    assert_eq!(refusal(&tar(&[file("etc/motd", "hello")])), nothing);
    let unpack = open(b"\xfd7zXZ\0 and so on", None).expect_err("xz").hint().expect("a way out");
    assert!(unpack.starts_with("unpack it first: `xz -dc /") && unpack.ends_with(" >unpacked.tar`"), "{unpack}");
}

#[test]
fn a_manifest_that_names_what_is_not_there_is_refused() {
    let config_of = |layers: &[Vec<u8>]| file("c.json", config("arm64", layers));
    assert_eq!(refusal(&tar(&[manifest("c.json", &[], &[])])), "`c.json` is missing in it");
    assert_eq!(
        refusal(&tar(&[config_of(&[layer("a")]), manifest("c.json", &[], &["a/layer.tar"])])),
        "`a/layer.tar` is missing in it"
    );
    let listed = refusal(&tar(&[config_of(&[layer("a")]), manifest("c.json", &[], &[])]));
    assert!(listed.starts_with("it lists 0 layers for image sha256:"), "{listed}");
    assert_eq!(refusal(&tar(&[manifest("../c.json", &[], &[])])), "`../c.json` in it leads out of the archive");
    assert_eq!(refusal(&tar(&[file("../x", ""), manifest("c.json", &[], &[])])), "`../x` in it leads out of the archive");
    let link = Member::Symlink("c.json".into(), "c.json".into());
    assert_eq!(refusal(&tar(&[link, manifest("c.json", &[], &[])])), "`c.json` is missing in it");
    let link = Member::Symlink("c.json".into(), "../../etc/passwd".into());
    assert_eq!(refusal(&tar(&[link, manifest("c.json", &[], &[])])), "`c.json` in it leads out of the archive");
    let name = refusal(&tar(&[config_of(&[]), manifest("c.json", &["$(id)"], &[])]));
    assert!(name.starts_with("it has a wrong name for an image: `$(id)`"), "{name}");
    assert_eq!(refusal(&tar(&[file("manifest.json", "[]")])), "there is no image in it");
    assert!(refusal(&tar(&[file("manifest.json", "{")])).starts_with("`manifest.json` in it cannot be understood: "));
}

#[test]
fn metadata_that_is_not_what_its_name_promises_is_refused() {
    let name = format!("{}.json", ImageId::of(b"other").hex());
    let bytes = tar(&[file(name.clone(), config("arm64", &[])), manifest(&name, &[], &[])]);
    assert!(refusal(&bytes).starts_with(&format!("`{name}` in it is damaged: its digest is sha256:")));
    let id = BlobId::of(b"other");
    let index = json!({"manifests": [{"digest": id.to_string()}]}).to_string();
    let bytes = tar(&[file("oci-layout", "{}"), file("index.json", index), file(format!("blobs/sha256/{}", id.hex()), "{}")]);
    assert!(refusal(&bytes).contains("in it is damaged: its digest is sha256:"));
}

#[test]
fn absurd_sizes_cost_nothing() {
    let large = " ".repeat(3 << 20);
    assert_eq!(
        refusal(&tar(&[file("manifest.json", &large)])),
        "`manifest.json` in it has 3145728 bytes, more than any image has there"
    );
    let mut huge = tar(&[file("manifest.json", "[]")]);
    let mut header = tar::Header::new_gnu();
    header.set_size(1 << 62);
    header.set_cksum();
    huge[..512].copy_from_slice(header.as_bytes());
    assert_eq!(refusal(&huge), "it is damaged: a member of absurd size");
    header.set_size(1 << 40);
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_cksum();
    huge[..512].copy_from_slice(header.as_bytes());
    assert_eq!(refusal(&huge), "`the name of a member` in it has 1099511627776 bytes, more than any image has there");
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    huge[..512].copy_from_slice(header.as_bytes());
    assert_eq!(refusal(&huge), "it is cut off");
}

#[test]
fn more_members_than_any_image_has_are_not_kept() {
    let mut members: Vec<_> = (0..40_000).map(|at| file(format!("{at:099}"), "")).collect();
    members.push(file("manifest.json", "[]"));
    assert_eq!(refusal(&tar(&members)), "it has more members than any image");
}

#[test]
fn an_index_without_end_ends() {
    let mut members = vec![file("oci-layout", "{}")];
    let mut inner = json!({"manifests": []}).to_string();
    for _ in 0..6 {
        let id = BlobId::of(inner.as_bytes());
        members.push(file(format!("blobs/sha256/{}", id.hex()), &inner));
        inner = json!({"manifests": vec![json!({"digest": id.to_string()}); 20]}).to_string();
    }
    members.push(file("index.json", &inner));
    assert_eq!(refusal(&tar(&members)), "it has more nested indexes than any image");
}

#[test]
fn a_damaged_layer_is_noticed_while_it_is_sent() {
    let image = || Fixture::new("app:1", "arm64", &[layer("a"), layer("b")]);
    for pack in [<[u8]>::to_vec as fn(&[u8]) -> Vec<u8>, gzip, zstd] {
        let mut damaged = image();
        damaged.layers[1][600] ^= 1;
        let opened = open(&oci(&[damaged], pack, true), None).expect("its headers are right");
        let error = sent(&opened).expect_err("a layer is wrong");
        assert!(error.to_string().contains("is damaged: its content has another digest"), "{error}");
        let Ok(stream) = opened.images.load_stream() else { continue };
        let mut pieces = stream.pieces();
        let last = std::iter::from_fn(|| pieces.blocking_recv()).last();
        assert!(matches!(last, Some(Err(_))), "the error comes last, so that the load is given up");
    }
}

#[test]
fn a_file_that_changes_between_is_noticed() {
    let opened = open(&docker_save(&[Fixture::new("app:1", "arm64", &[layer("a")])]), None).expect("an archive");
    opened.file.as_file().set_len(2048).expect("it can be cut");
    assert!(sent(&opened).is_err());
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let image = [Fixture::new("app:1", "arm64", &[small_layer()])];
    let whole = [docker_save(&image), oci(&image, gzip, false), gzip(&docker_save(&image)), gzip(&root_file_system())];
    for bytes in &whole {
        // Two blocks of zeros end an archive; those may be missing.
        for length in (1..bytes.len().saturating_sub(1024)).step_by(97) {
            assert!(open(&bytes[..length], None).is_err(), "{length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_or_harmless() {
    let image = [Fixture::new("app:1", "arm64", &[small_layer()])];
    let id = image[0].id();
    let whole = [docker_save(&image), oci(&image, gzip, false), oci(&image, zstd, false), gzip(&docker_save(&image))];
    let mut state = 1_u64;
    for bytes in &whole {
        for _ in 0..400 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut flipped = bytes.clone();
            let at = (state >> 33) as usize % flipped.len();
            flipped[at] ^= 1 << (state >> 30 & 7);
            // A name without a digest in it (a tag, a link) may have changed: the image itself may not, without a new ID.
            if let Ok(out) = open(&flipped, None).map_err(std::io::Error::other).and_then(|opened| sent(&opened)) {
                assert!(load(&out).iter().all(|loaded| loaded.id == id || !loaded.sent.is_empty()));
            }
        }
    }
}

#[test]
fn what_is_not_there_or_no_file_is_told_apart() {
    let missing = |source: &str| super::super::open(source, &Default::default(), None).expect_err("it is not there");
    for source in ["/no/such/file.tar", "./a b", "-rf", "C:\\image.tar", ""] {
        assert!(matches!(missing(source), ImageError::Missing(_)), "{source}");
        assert_eq!(missing(source).kind(), FailureKind::LocalFile);
    }
    let directory = missing(env!("CARGO_MANIFEST_DIR"));
    assert!(matches!(directory, ImageError::Directory(_)), "{directory}");
    let hint = directory.hint().expect("a way out");
    assert!(hint.starts_with("make an archive of what is in it: `tar -C /"), "{hint}");
}

#[test]
fn a_compression_that_no_device_reads_is_refused_in_layers_too() {
    let bytes = tar(&[
        file("a/layer.tar", b"\xfd7zXZ\0 and so on"),
        file("c.json", config("arm64", &[layer("a")])),
        manifest("c.json", &[], &["a/layer.tar"]),
    ]);
    let error = open(&bytes, None).expect_err("xz");
    assert!(matches!(error, ImageError::Flawed { flaw: ArchiveError::PackedLayer { .. }, .. }), "{error}");
    assert!(error.to_string().ends_with("the layer `a/layer.tar` in it is compressed with xz"), "{error}");
}
