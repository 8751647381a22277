//! Archives as other tools than docker write them: what a device can run of them is found, and what is in the way is named.

use serde_json::json;

use super::{
    fixtures::{Fixture, Member, docker_save, file, gzip, layer, load, nested, oci, tar, with_artifact},
    open, sent,
};
use crate::{
    config::ImageMetadata,
    failure::Explain,
    image::{Image, ImageId, Platform},
};

fn fixture(architecture: &str) -> Fixture {
    Fixture::new("app:1", architecture, &[layer(architecture)])
}

fn images(members: &[Member]) -> Vec<Image> {
    open(&tar(members), None).expect("an archive").images.images().to_vec()
}

/// Returns the error of an archive, and its hint.
fn refused(members: &[Member]) -> (String, String) {
    let error = open(&tar(members), None).expect_err("it is refused");
    let text = error.to_string();
    (text.split_once("can be loaded: ").expect("the usual words").1.to_owned(), error.hint().expect("a way out"))
}

fn without(mut members: Vec<Member>, name: &str) -> Vec<Member> {
    members.retain(|member| !matches!(member, Member::File(other, _) if other == name));
    members
}

/// Returns the `manifest.json` that `docker save` would have written for this image, with parts in the layout's places.
fn manifest_of(members: &[Member], image: &Fixture, tags: &serde_json::Value) -> Member {
    let Some(config) = members.iter().find_map(|member| match member {
        Member::File(name, content) if *content == image.config.as_bytes() => Some(name.clone()),
        _ => None,
    }) else {
        panic!("its configuration is there")
    };
    let layers = image.layers.iter().map(|layer| {
        members.iter().find_map(|member| match member {
            Member::File(name, content) if *content == gzip(layer) => Some(name.clone()),
            _ => None,
        })
    });
    let layers: Vec<_> = layers.collect();
    file("manifest.json", json!([{"Config": config, "RepoTags": tags, "Layers": layers}]).to_string())
}

#[test]
fn image_for_the_device_is_taken_where_only_the_index_names_it() {
    for tags in [json!(["app:1"]), json!(null)] {
        let platforms = [fixture("amd64"), fixture("arm64")];
        let mut members = nested(&platforms, |_| true);
        members.push(manifest_of(&members, &platforms[0], &tags));
        let opened = open(&tar(&members), Some("app:2")).expect("an archive");
        let [image] = opened.images.images() else { panic!("one image") };
        assert_eq!((image.id, &image.platform), (platforms[1].id(), &Platform::linux("arm64")));
        let loaded = load(&sent(&opened).expect("its layers are there"));
        assert_eq!((loaded[0].id, loaded[0].sent.as_slice()), (platforms[1].id(), &[true][..]));
        let tags: Vec<_> = images(&members)[0].references.iter().map(ToString::to_string).collect();
        assert!(tags.is_empty() || tags == ["app:1"], "{tags:?}");
    }
}

#[test]
fn image_for_others_stays_where_the_index_has_no_other() {
    let members = nested(&[fixture("amd64")], |_| true);
    let with_manifest = [members.clone(), vec![manifest_of(&members, &fixture("amd64"), &json!(["app:1"]))]].concat();
    assert_eq!(images(&with_manifest)[0].platform, Platform::linux("amd64"));
}

#[test]
fn platforms_that_were_not_saved_are_passed_over() {
    let platforms = [fixture("amd64"), fixture("arm64")];
    let ids = |members: &[Member]| images(members).iter().map(|image| image.id).collect::<Vec<_>>();
    assert_eq!(ids(&nested(&platforms, |image| image.config.contains("arm64"))), [fixture("arm64").id()]);
    assert_eq!(ids(&nested(&platforms, |image| image.config.contains("amd64"))), [fixture("amd64").id()]);
    let (said, _) = refused(&nested(&platforms, |_| false));
    assert!(said.starts_with("`blobs/sha256/") && said.ends_with("` is missing in it"), "{said}");
}

#[test]
fn keys_are_read_in_any_case_as_go_reads_them() {
    let image = fixture("arm64");
    let members = tar_members(&docker_save(&[fixture("arm64")]));
    let manifest = |text: &str| [without(members.clone(), "manifest.json"), vec![file("manifest.json", text)]].concat();
    let (config, layers) = (format!("{}.json", image.id().hex()), format!("{:032}{:032}/layer.tar", 0, 0));
    for text in [
        json!([{"config": config, "repoTags": ["app:1"], "layers": [layers]}]),
        json!([{"CONFIG": config, "repotags": ["app:1"], "Layers": [layers], "Parent": null, "LayerSources": {}}]),
    ] {
        let found = images(&manifest(&text.to_string()));
        assert_eq!((found[0].id, found[0].references.len()), (image.id(), 1));
    }
    let found = images(&manifest(&json!([{"Config": config, "RepoTags": null, "Layers": [layers]}]).to_string()));
    assert_eq!(found[0].references, []);
}

#[test]
fn what_is_no_image_for_a_device_is_passed_over() {
    let image = fixture("arm64");
    let diff_id = image.id().to_string().replace("sha256:", "sha256:00")[..71].to_owned();
    let signature = json!({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    let oci_config = "application/vnd.oci.image.config.v1+json";
    let layer = |kind: &str| json!([{"mediaType": kind}]);
    let artifacts = [
        // cosign
        (
            json!({"config": {"mediaType": oci_config}, "layers": layer("application/vnd.dev.cosign.simplesigning.v1+json")}),
            signature.clone(),
        ),
        // The same without kinds.
        (json!({"config": {}, "layers": [{}]}), signature),
        // oras, helm
        (
            json!({"config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}, "layers": [{}]}),
            json!({"name": "chart"}),
        ),
        (
            json!({"artifactType": "application/spdx+json", "config": {"mediaType": "application/vnd.oci.empty.v1+json"}, "layers": [{}]}),
            json!({}),
        ),
        // buildx without its annotation
        (
            json!({"config": {"mediaType": oci_config}, "layers": layer("application/vnd.in-toto+json")}),
            json!({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers"}}),
        ),
    ];
    for (manifest, config) in artifacts {
        let members = with_artifact(Some(&image), manifest.clone(), &config);
        assert_eq!(images(&members).iter().map(|image| image.id).collect::<Vec<_>>(), [image.id()], "{manifest}");
        let (said, hint) = refused(&with_artifact(None, manifest, &config));
        assert_eq!(said, "there is no image in it, only signatures, attestations or other artifacts");
        assert!(hint.contains("docker save"), "{hint}");
    }
}

#[test]
fn damaged_image_for_the_device_is_no_reason_to_take_another() {
    let image = fixture("arm64");
    let members = nested(&[fixture("amd64"), fixture("arm64")], |_| true);
    let members: Vec<_> = members
        .into_iter()
        .filter(|member| !matches!(member, Member::File(_, content) if *content == gzip(&image.layers[0])))
        .collect();
    let (said, _) = refused(&members);
    assert!(said.ends_with("is missing in it"), "{said}");
}

#[test]
fn parts_that_are_stored_with_holes_are_named() {
    let (layer, config) = (layer("holes"), fixture("arm64"));
    let bytes = docker_save(&[Fixture { layers: vec![layer], ..config }]);
    for mark in [gnu_sparse, pax_sparse] {
        let error = open(&mark(&bytes), None).expect_err("it is refused");
        let name = format!("{:032}{:032}/layer.tar", 0, 0);
        let said = format!("is not an image that can be loaded: `{name}` in it is stored with holes (`tar --sparse`)");
        assert!(error.to_string().ends_with(&said), "{error}");
        assert_eq!(error.hint().as_deref(), Some("unpack it and make the archive again without `--sparse` (`-S`)"));
    }
}

/// Has the first layer be a sparse file as GNU tar's own format writes it.
fn gnu_sparse(archive: &[u8]) -> Vec<u8> {
    rewritten(archive, |builder, header, name, content| {
        if name.ends_with("layer.tar") {
            let mut sparse = tar::Header::new_gnu();
            sparse.set_path(name).expect("it fits");
            sparse.set_entry_type(tar::EntryType::GNUSparse);
            sparse.set_size(content.len() as u64);
            sparse.set_cksum();
            builder.append(&sparse, content).expect("memory");
        } else {
            builder.append(header, content).expect("memory");
        }
    })
}

/// Returns the sparse archive in the format of `--posix`.
fn pax_sparse(archive: &[u8]) -> Vec<u8> {
    rewritten(archive, |builder, header, name, content| {
        if name.ends_with("layer.tar") {
            let records =
                [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", name), ("GNU.sparse.realsize", "9")];
            builder.append_pax_extensions(records.map(|(key, value)| (key, value.as_bytes()))).expect("memory");
            let mut plain = tar::Header::new_ustar();
            plain.set_path("GNUSparseFile.1/layer.tar").expect("it fits");
            plain.set_size(content.len() as u64);
            plain.set_cksum();
            builder.append(&plain, content).expect("memory");
        } else {
            builder.append(header, content).expect("memory");
        }
    })
}

fn rewritten(archive: &[u8], mut write: impl FnMut(&mut tar::Builder<Vec<u8>>, &tar::Header, &str, &[u8])) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(archive).entries().expect("a tar archive") {
        let mut entry = entry.expect("a member");
        let (header, name) = (entry.header().clone(), entry.path().expect("a name").display().to_string());
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).expect("its content");
        write(&mut builder, &header, &name, &content);
    }
    builder.into_inner().expect("memory")
}

fn tar_members(archive: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    rewritten(archive, |_, _, name, content| members.push(file(name, content)));
    members
}

#[test]
fn layout_in_a_directory_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, pack) in [("plain", <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>), ("gzip", gzip)] {
        let directory = folder.path().join(name);
        tar::Archive::new(oci(&[fixture("arm64")], pack, false).as_slice()).unpack(&directory).expect("unpacked");
        let path = directory.to_str().expect("a plain path");
        let images = crate::image::open(path, &ImageMetadata::default(), Some("app:2")).expect("it is taken");
        assert_eq!(images.images().iter().map(|image| image.id).collect::<Vec<ImageId>>(), [fixture("arm64").id()]);
        let mut out = Vec::new();
        images.load_stream().expect("a stream").write(&mut out).expect("memory");
        assert_eq!(load(&out)[0].tags, ["app:2"]);
        std::fs::remove_file(directory.join("index.json")).expect("removed");
        let error = crate::image::open(path, &ImageMetadata::default(), None).expect_err("no layout any more");
        assert_eq!(error.to_string(), format!("`{path}` is a directory, not an image archive"));
    }
}
