//! The two spellings of each stage mean the same.

use std::path::Path;

use o3r_deploy::{
    config::{ComposeFiles, Deployment, RemotePath},
    stage::Stage,
};

use super::{
    document::{calls, folder, told},
    readme::{Block, blocks, readme},
};

fn of_stage(stage: Stage) -> Vec<Block> {
    blocks(&readme()).into_iter().filter(|block| block.heading == stage.name()).collect()
}

/// What a file tells.
fn in_file(block: &Block, folder: &Path) -> Deployment {
    std::fs::write(folder.join("readme.yaml"), &block.text).expect("written");
    let wanted = told(&["--config".into(), "readme.yaml".into()], folder);
    wanted.unwrap_or_else(|error| panic!("{}: {error}", block.heading))
}

#[test]
fn every_stage_has_its_heading_in_the_order_of_the_work() {
    let text = readme();
    let names = text.lines().filter_map(|line| line.strip_prefix("### "));
    assert_eq!(names.collect::<Vec<_>>(), Stage::ALL.map(Stage::name));
}

#[test]
fn options_and_file_tell_the_same_deployment() {
    let folder = folder();
    for stage in Stage::ALL {
        let mut pairs = 0;
        let of_stage = of_stage(stage);
        for (index, shell) in of_stage.iter().enumerate().filter(|(_, block)| block.language == "sh") {
            let call = calls(&shell.text).pop().expect("a call");
            let yaml = of_stage.get(index + 1).filter(|block| block.language == "yaml").expect("a file follows the options");
            let options = told(&call, folder.path()).unwrap_or_else(|error| panic!("{call:?}: {error}"));
            let file = in_file(yaml, folder.path());
            assert_eq!(named(options), named(file), "{stage}: {}", yaml.text);
            pairs += 1;
        }
        assert!(pairs > 0 || stage == Stage::LogsAgain, "{stage} has no example");
    }
}

/// The same deployment with everything that comes from the name of its folder taken out.
fn named(mut deployment: Deployment) -> Deployment {
    deployment.application = None;
    if let Some(compose) = &mut deployment.compose
        && let ComposeFiles::Here { directory, .. } = &mut compose.files
    {
        *directory = RemotePath::new("~/application").expect("a path");
    }
    deployment
}

#[test]
fn every_example_of_the_file_is_accepted() {
    let folder = folder();
    let all: Vec<_> = blocks(&readme()).into_iter().filter(|block| block.language == "yaml").collect();
    for block in &all {
        in_file(block, folder.path());
    }
    assert!(all.len() > 15, "{}", all.len());
}
