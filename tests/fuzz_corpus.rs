//! Feeds the fuzz targets what they found worth keeping: none panics, hangs or takes much memory any more.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use o3r_deploy::fuzz::TARGETS;

#[test]
fn the_corpus_of_every_target_is_taken_without_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let entries = fs::read_dir(corpus.join(name)).unwrap_or_else(|error| panic!("the corpus of {name}: {error}"));
        let mut count = 0;
        for entry in entries {
            let path = entry.expect("an entry").path();
            let bytes = fs::read(&path).expect("readable");
            let begin = Instant::now();
            target(&bytes);
            let took = begin.elapsed();
            assert!(took < Duration::from_secs(5), "{}: {took:?}", path.display());
            count += 1;
        }
        assert!(count > 0, "{name} has a corpus");
    }
}

#[test]
fn every_target_has_its_program_and_its_line_in_the_documents() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let [readme, manifest, run] =
        ["README.md", "Cargo.toml", "run"].map(|name| fs::read_to_string(fuzz.join(name)).expect("readable"));
    for (name, _) in TARGETS {
        let program = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).expect("readable");
        assert!(program.contains(&format!("fuzz::{name}(")), "{name}");
        assert!(readme.contains(&format!("| `{name}` |")) && manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(run.contains(name), "{name}");
    }
}
