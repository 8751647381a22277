//! Sends less than a layer: the parts that a changed layer has in common with an image on the device are copied there, and
//! only the rest is sent.
//!
//! The device reads its own image with `docker container cp`, a generated list of steps says what to copy and what to insert,
//! and docker's digest of the layer proves the result. Only contents of files are copied. What tells files apart in an
//! archive, their headers, differs from docker to docker and travels.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    rc::Rc,
};

mod base;
mod index;
mod matching;
mod shelf;
mod stream;

pub use index::LayerIndex;
pub use matching::Run;
pub use shelf::LayerIndexCache;

use super::{Delivery, gate::Pieces, supply};
use crate::{
    facts::DockerImage,
    image::{Archive, DiffId, Image, ImageError, LoadStream},
};
use base::FileSystem;
use index::{Kind, Piece};

/// Less than this is not worth a look, in bytes.
const WORTH: u64 = 256 << 10;

/// Maximum number of images on the device that are considered as a base.
const BASES: usize = 3;

/// Maximum size of layers, in bytes, that are read on this computer to learn the content that the device has.
const LEARNED: u64 = 256 << 20;

/// The instructions to put a parcel together on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// ID of the image that is the base.
    pub base: String,
    /// Paths in it that are read, in this order.
    pub roots: Vec<String>,
    /// The byte runs that are copied.
    pub runs: Vec<Run>,
    /// Bytes of the base that are read.
    pub read: u64,
    /// Bytes that travel, before compression.
    pub inserted: u64,
}

/// Finds for each of a delivery's [candidates](Delivery::candidates) the parts that the device can copy from its images;
/// `None` where nothing is gained.
///
/// # Errors
/// A layer that cannot be read.
pub fn rebuilds(
    archive: &Archive,
    image: &Image,
    delivery: &Delivery,
    there: &[DockerImage],
    shelf: &LayerIndexCache,
) -> Result<Vec<Option<Rebuild>>, ImageError> {
    let mut known = Known { archive, shelf, indices: HashMap::new() };
    let delivery = Delivery { parcels: delivery.candidates(), ..delivery.clone() };
    let mut found: Vec<Option<Rebuild>> = vec![None; delivery.parcels.len()];
    if delivery.missing() < WORTH {
        return Ok(found);
    }
    for base in bases(image, there, &known) {
        let Some(layers) = base.1.iter().map(|layer| known.index(layer)).collect::<Option<Vec<_>>>() else { continue };
        let system = FileSystem::of(layers.iter().map(Rc::as_ref).collect());
        for (number, best) in found.iter_mut().enumerate() {
            let stream = supply::parcel(archive, image, &delivery, number, true)?;
            let rebuild = known.rebuild(&stream, &base.0.id, &system);
            *best = [best.take(), rebuild].into_iter().flatten().min_by_key(|rebuild| rebuild.inserted);
        }
    }
    Ok(found)
}

/// Returns the images that may be a base, the nearest first, each with its layers: those whose layers are all known or soon
/// learned.
fn bases<'a>(image: &Image, there: &'a [DockerImage], known: &Known<'_>) -> Vec<(&'a DockerImage, Vec<DiffId>)> {
    let repository = |reference: &str| reference.rsplit_once(':').map_or(reference, |(name, _)| name).to_owned();
    let names: HashSet<_> = image.references.iter().map(|reference| repository(&reference.to_string())).collect();
    let mut bases: Vec<_> = there
        .iter()
        .filter_map(|base| Some((base, base.layers.iter().map(|layer| layer.parse().ok()).collect::<Option<Vec<DiffId>>>()?)))
        .filter(|(base, layers)| !layers.is_empty() && !super::is_partial(base) && known.may_know(image, layers))
        .collect();
    bases.sort_by_key(|(base, layers)| {
        let common = layers.iter().zip(&image.layers).take_while(|(there, here)| **there == here.diff_id).count();
        let namesake = base.tags.iter().any(|tag| names.contains(&repository(tag)));
        std::cmp::Reverse((namesake, common))
    });
    bases.truncate(BASES);
    bases
}

/// The indexes of layers that are known so far.
struct Known<'a> {
    archive: &'a Archive,
    shelf: &'a LayerIndexCache,
    indices: HashMap<DiffId, Option<Rc<LayerIndex>>>,
}

impl Known<'_> {
    fn may_know(&self, image: &Image, layers: &[DiffId]) -> bool {
        let mut learned = 0;
        layers.iter().all(|layer| {
            let here = image.layers.iter().find(|here| here.diff_id == *layer);
            let shelved = self.shelf.has(layer);
            learned += here.filter(|_| !shelved).map_or(0, |here| here.stored);
            shelved || here.is_some()
        }) && learned <= LEARNED
    }

    fn index(&mut self, layer: &DiffId) -> Option<Rc<LayerIndex>> {
        let (archive, shelf) = (self.archive, self.shelf);
        self.indices
            .entry(*layer)
            .or_insert_with(|| shelf.get(layer).or_else(|| learn(archive, layer, shelf)).map(Rc::new))
            .clone()
    }

    /// Returns the instructions to rebuild a parcel from a base.
    fn rebuild(&mut self, stream: &LoadStream, base: &str, system: &FileSystem<'_>) -> Option<Rebuild> {
        let mut pieces: Vec<(u64, Piece)> = Vec::new();
        for (layer, begin) in stream.layers() {
            let index = self.index(&layer)?;
            for member in &index.members {
                let Kind::File(content) = &member.kind else { continue };
                let mut at = begin + member.offset;
                for piece in content {
                    pieces.push((at, *piece));
                    at += u64::from(piece.length);
                }
            }
        }
        let wanted = pieces.iter().map(|(_, piece)| *piece).collect();
        let base_contents = system.base(&wanted);
        let runs = matching::runs(&pieces, &base_contents.pieces);
        let copied: u64 = runs.iter().map(|run| run.length).sum();
        let read = runs.last().map(|run| run.from + run.length)?;
        let inserted = stream.total()? - copied;
        Some(Rebuild { base: base.to_owned(), roots: base_contents.roots, runs, read, inserted })
    }
}

/// Reads a layer to know what it holds, and keeps that for later. A layer that is not understood is no part of a base.
pub fn learn(archive: &Archive, layer: &DiffId, shelf: &LayerIndexCache) -> Option<LayerIndex> {
    let read = || LayerIndex::read(archive.open_layer(layer).map_err(io::Error::other)?);
    match read() {
        Ok(index) => {
            shelf.put(layer, &index);
            Some(index)
        }
        Err(error) => {
            tracing::debug!("nothing is known of layer {layer}: {error}");
            None
        }
    }
}

/// Returns the steps that make a parcel on the device.
pub fn pieces(stream: LoadStream, runs: Vec<Run>) -> Pieces {
    stream.pieces_through(move |stream, out| {
        let total = stream.total().ok_or_else(|| io::Error::other("a stream without a size cannot be rebuilt"))?;
        let mut steps = stream::Steps::new(&runs, total, out)?;
        stream.write(&mut steps)?;
        steps.flush()
    })
}

#[cfg(test)]
pub(super) mod tests {
    /// Returns a layer of directories and files.
    pub(super) fn layer(members: &[(&str, Option<&[u8]>)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(if content.is_some() { tar::EntryType::Regular } else { tar::EntryType::Directory });
            header.set_size(content.map_or(0, |content| content.len() as u64));
            header.set_mode(0o755);
            builder.append_data(&mut header, path, content.unwrap_or_default()).expect("memory takes all");
        }
        builder.into_inner().expect("memory takes all")
    }

    /// Bytes that do not repeat (xorshift).
    pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        std::iter::repeat_with(next).flatten().take(length).collect()
    }
}
