//! The README's text, taken apart.

use std::path::Path;

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README.
pub fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("there is a README")
}

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The nearest heading above it.
    pub heading: String,
    /// What stands behind the fence.
    pub language: String,
    /// The lines in it.
    pub text: String,
}

/// The fenced blocks of a document.
pub fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut heading, mut open): (Vec<Block>, String, Option<Block>) = Default::default();
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, Some(language)) => {
                open = Some(Block { heading: heading.clone(), language: language.into(), text: String::new() });
            }
            (None, None) if line.starts_with('#') => heading = line.trim_start_matches('#').trim().to_owned(),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed under {heading}");
    blocks
}
