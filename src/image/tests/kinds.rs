//! Whole archives: each kind gives the image that it holds.

use std::io::Read;

use super::{
    Opened,
    fixtures::{Fixture, Loaded, docker_save, gzip, layer, load, oci, oci_nested, root_file_system, zstd},
    open, sent,
};
use crate::image::{Archive, ChainId, DiffId, ImageError, ImageId, Load, PIECE, Platform, Reference, chain_ids};

fn fixture() -> Fixture {
    Fixture::new("app:1", "arm64", &[layer("base"), layer("app"), layer("base")])
}

/// Returns the same image in every layout and compression.
fn every_kind() -> Vec<(&'static str, Vec<u8>)> {
    let old = docker_save(&[fixture()]);
    let plain: fn(&[u8]) -> Vec<u8> = <[u8]>::to_vec;
    vec![
        ("docker save, gzip", gzip(&old)),
        ("docker save, zstd", zstd(&old)),
        ("docker save", old),
        ("docker save since 25", oci(&[fixture()], plain, true)),
        ("docker save of layers in gzip", oci(&[fixture()], gzip, true)),
        ("OCI", oci(&[fixture()], plain, false)),
        ("OCI, layers in gzip", oci(&[fixture()], gzip, false)),
        ("OCI, layers in zstd", oci(&[fixture()], zstd, false)),
        ("OCI, layers in gzip, all in gzip", gzip(&oci(&[fixture()], gzip, false))),
        ("OCI, layers in zstd, all in gzip", gzip(&oci(&[fixture()], zstd, false))),
    ]
}

fn whole(kind: &str, bytes: &[u8], name: Option<&str>) -> Opened {
    open(bytes, name).unwrap_or_else(|error| panic!("{kind}: {error}"))
}

#[test]
fn every_kind_of_archive_is_the_same_image_with_the_same_layers() {
    let diff_ids: Vec<_> = fixture().layers.iter().map(|layer| DiffId::of(layer)).collect();
    for (kind, bytes) in every_kind() {
        let opened = whole(kind, &bytes, None);
        let [image] = opened.images.images() else { panic!("{kind}: one image") };
        assert_eq!(image.id, fixture().id(), "{kind}");
        assert_eq!(image.platform, Platform::linux("arm64"), "{kind}");
        assert_eq!(image.references, ["app:1".parse().expect("a reference")], "{kind}");
        assert_eq!(image.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>(), diff_ids, "{kind}");
        assert_eq!(image.layers.iter().map(|layer| layer.chain_id).collect::<Vec<ChainId>>(), chain_ids(&diff_ids), "{kind}");
    }
}

#[test]
fn docker_loads_the_same_image_from_every_kind() {
    for (kind, bytes) in every_kind() {
        let opened = whole(kind, &bytes, Some("wanted"));
        let loaded = load(&sent(&opened).expect(kind));
        assert_eq!(loaded, [Loaded { id: fixture().id(), tags: vec!["wanted:latest".into()], sent: vec![true; 3] }], "{kind}");
    }
}

#[test]
fn any_layer_of_every_kind_is_read_uncompressed() {
    for (kind, bytes) in every_kind() {
        let opened = whole(kind, &bytes, None);
        let archive = opened.images.into_archive().expect(kind);
        for layer in fixture().layers.iter().rev() {
            let mut content = Vec::new();
            archive.open_layer(&DiffId::of(layer)).expect(kind).read_to_end(&mut content).expect(kind);
            assert!(content == *layer, "{kind}");
        }
        assert!(matches!(archive.open_layer(&DiffId::of(b"")), Err(ImageError::Flawed { .. })), "{kind}");
    }
}

#[test]
fn what_is_sent_depends_on_nothing_but_the_input() {
    for (kind, bytes) in every_kind() {
        let first = sent(&whole(kind, &bytes, None)).expect(kind);
        assert!(first == sent(&whole(kind, &bytes, None)).expect(kind), "{kind}");
    }
}

#[test]
fn a_layer_that_is_stored_twice_travels_once() {
    let bytes = sent(&whole("docker save", &docker_save(&[fixture()]), None)).expect("an archive");
    let members = tar::Archive::new(bytes.as_slice()).entries().expect("a tar").count();
    assert_eq!(members, 4, "manifest, configuration, two layers");
}

#[test]
fn layers_that_the_device_has_are_left_out() {
    for (kind, bytes) in every_kind() {
        let opened = whole(kind, &bytes, None);
        let archive = opened.images.into_archive().expect(kind);
        let stream = archive.load_stream(&[Load { image: &archive.images()[0], present: 3, plain: false }]).expect(kind);
        let (total, mut out) = (stream.total(), Vec::new());
        stream.write(&mut out).expect(kind);
        assert_eq!(total, Some(out.len() as u64), "{kind}");
        assert!(out.len() < 8192, "{kind}");
        assert_eq!(load(&out)[0].sent, [false; 3], "{kind}");
    }
}

#[test]
fn layers_that_go_uncompressed_lie_where_the_stream_says() {
    for (kind, bytes) in every_kind() {
        let opened = whole(kind, &bytes, None);
        let archive = opened.images.into_archive().expect(kind);
        let stream = archive.load_stream(&[Load { image: &archive.images()[0], present: 0, plain: true }]).expect(kind);
        let (layers, total, mut out) = (stream.layers(), stream.total(), Vec::new());
        stream.write(&mut out).expect(kind);
        assert_eq!(total, Some(out.len() as u64), "{kind}");
        assert_eq!(layers.len(), 2, "{kind}");
        for (diff_id, begin) in layers {
            let layer = fixture().layers.into_iter().find(|layer| DiffId::of(layer) == diff_id).expect(kind);
            assert!(out[usize::try_from(begin).expect("small")..].starts_with(&layer), "{kind}");
        }
    }
}

#[test]
fn part_of_the_layers_is_the_upper_part() {
    let image = Fixture::new("app:1", "arm64", &[layer("a"), layer("b"), layer("c")]);
    let opened = whole("docker save", &docker_save(&[image]), None);
    let archive = opened.images.into_archive().expect("an archive");
    let mut out = Vec::new();
    archive
        .load_stream(&[Load { image: &archive.images()[0], present: 1, plain: false }])
        .expect("layers")
        .write(&mut out)
        .expect("memory");
    assert_eq!(load(&out)[0].sent, [false, true, true]);
}

fn two() -> [Fixture; 2] {
    [
        Fixture::new("one:1", "arm64", &[layer("base"), layer("one")]),
        Fixture::new("two:1", "arm64", &[layer("base"), layer("two")]),
    ]
}

#[test]
fn all_images_of_an_archive_are_sent_and_what_they_share_once() {
    for bytes in [docker_save(&two()), oci(&two(), gzip, false)] {
        let opened = whole("two images", &bytes, None);
        let loaded = load(&sent(&opened).expect("an archive"));
        assert_eq!(loaded.iter().map(|image| image.id).collect::<Vec<_>>(), two().map(|image| image.id()));
        assert_eq!(loaded[1].tags, ["two:1"]);
    }
}

#[test]
fn a_name_chooses_among_several_images_or_is_refused() {
    let bytes = docker_save(&two());
    let chosen = whole("two images", &bytes, Some("docker.io/library/two:1"));
    assert_eq!(chosen.images.images().iter().map(|image| image.id).collect::<Vec<_>>(), [two()[1].id()]);
    let error = open(&bytes, Some("three")).expect_err("none is named so");
    assert!(error.to_string().ends_with("holds 2 images, and none or several of them are named `three:latest`"), "{error}");
    assert!(matches!(open(&bytes, Some("Three")), Err(ImageError::Name(_))));
}

#[test]
fn of_several_platforms_the_one_of_a_vpu_is_taken() {
    let platforms = || ["amd64", "arm64"].map(|architecture| Fixture::new("app:1", architecture, &[layer(architecture)]));
    for bytes in [oci_nested(&platforms()), oci(&platforms(), gzip, false), docker_save(&platforms())] {
        let opened = whole("two platforms", &bytes, None);
        assert_eq!(opened.images.images().iter().map(|image| image.id).collect::<Vec<_>>(), [platforms()[1].id()]);
    }
    let foreign = whole("one platform", &oci_nested(&platforms()[..1]), None);
    assert_eq!(foreign.images.images()[0].platform, Platform::linux("amd64"));
    assert_eq!(foreign.images.images()[0].references, [], "a tag alone names nothing");
}

#[test]
fn a_root_file_system_is_an_image_with_one_layer_and_a_lasting_id() {
    let plain = root_file_system();
    let mut ids: Vec<ImageId> = Vec::new();
    for (kind, bytes) in [("plain", plain.clone()), ("gzip", gzip(&plain)), ("zstd", zstd(&plain))] {
        let opened = whole(kind, &bytes, Some("app"));
        let [image] = opened.images.images() else { panic!("{kind}: one image") };
        assert_eq!(image.platform, Platform::linux("arm64"), "{kind}");
        assert_eq!(image.layers[0].diff_id, DiffId::of(&plain), "{kind}");
        assert_eq!(image.layers[0].size, Some(plain.len() as u64), "{kind}");
        ids.push(image.id);
        let loaded = load(&sent(&opened).expect(kind));
        assert_eq!(loaded, [Loaded { id: image.id, tags: vec!["app:latest".into()], sent: vec![true] }], "{kind}");
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn what_is_sent_comes_in_pieces_and_ends_when_nobody_listens() {
    let large =
        tar::Builder::new(Vec::new()).into_inner().map(|end| [layer("large").repeat(8), end].concat()).expect("a layer");
    let opened = whole("large", &docker_save(&[Fixture::new("app:1", "arm64", &[large])]), None);
    let expected = sent(&opened).expect("an archive");
    let mut receiver = opened.images.load_stream().expect("a stream").pieces();
    let mut got = Vec::new();
    while let Some(piece) = receiver.blocking_recv() {
        let piece = piece.expect("a piece");
        assert!(piece.len() == PIECE || got.len() + piece.len() == expected.len());
        got.extend(piece);
    }
    assert!(got == expected);
    let mut receiver = opened.images.load_stream().expect("a stream").pieces();
    receiver.close();
    while receiver.blocking_recv().is_some() {}
}

#[test]
fn an_image_that_is_not_of_the_archive_can_use_its_layers() {
    let opened = whole("docker save", &docker_save(&[fixture()]), None);
    let archive: Archive = opened.images.into_archive().expect("an archive");
    let below = Fixture::new("step:1", "arm64", &fixture().layers[..2]);
    let mut image = archive.images()[0].clone();
    image.layers.truncate(2);
    image.id = below.id();
    image.config = Some(below.config.clone().into_bytes());
    image.references = vec!["step:1".parse::<Reference>().expect("a reference")];
    let mut out = Vec::new();
    archive.load_stream(&[Load { image: &image, present: 1, plain: false }]).expect("layers").write(&mut out).expect("memory");
    assert_eq!(load(&out), [Loaded { id: below.id(), tags: vec!["step:1".into()], sent: vec![false, true] }]);
}
