//! Builds the input of `docker load`: a `docker save` archive made for the device, as a stream.
//!
//! Layers go uncompressed or with gzip, as they are stored: all that docker up to 20.10 reads. Layers that the device has are
//! left out; docker does not look for a layer whose chain it knows. The same input gives the same bytes.

use std::{
    collections::HashSet,
    io::{self, BufReader, Read, Write},
    sync::Arc,
};

use serde::Serialize;
use tar::{EntryType, Header};
use tokio::sync::mpsc;

use super::{
    ArchiveError, Compression, DiffId, Image,
    archive::Store,
    bytes::Bytes,
    contents::Blob,
    engine::Saved,
    layer::{LayerReader, copy, copy_gzip},
    tarball::BLOCK,
};

/// The size of the pieces that [`LoadStream::pieces`] sends, in bytes; the last may be smaller.
pub const PIECE: usize = 256 << 10;

/// Maximum number of pieces that wait for the receiver.
const PIECES_WAITING: usize = 8;

/// An image that the device is to load.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// The image, with the references that it is to have.
    pub image: &'a Image,
    /// Number of its layers, from the bottom, that are left out. The device must have all of them on one chain.
    pub present: usize,
    /// Whether its layers go uncompressed even where they are stored with gzip.
    pub plain: bool,
}

/// Bytes for `docker load` on the device.
#[derive(Debug)]
pub struct LoadStream(Source);

#[derive(Debug)]
enum Source {
    Archive { store: Arc<Store>, parts: Vec<Part> },
    Engine(Saved),
}

/// A member of the archive that is sent.
#[derive(Debug)]
struct Part {
    name: String,
    size: u64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Memory(Vec<u8>),
    Layer(DiffId, Blob, Form),
}

/// The form in which a layer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The layer is sent with gzip, as it is stored.
    Gzip,
    Plain,
}

/// An entry of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Returns the stream of an image as this computer's docker saves it.
pub(super) fn of_engine(saved: Saved) -> LoadStream {
    LoadStream(Source::Engine(saved))
}

/// Returns the stream of images whose layers are in `store`.
pub(super) fn of_archive(store: &Arc<Store>, loads: &[Load<'_>]) -> Result<LoadStream, ArchiveError> {
    let mut manifest = Vec::new();
    let (mut configs, mut layers, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for Load { image, present, plain } in loads {
        let config = image.config.clone().ok_or_else(|| ArchiveError::Missing(format!("the configuration of {}", image.id)))?;
        let name = format!("{}.json", image.id.hex());
        manifest.push(ManifestEntry {
            config: name.clone(),
            repo_tags: image.references.iter().map(ToString::to_string).collect(),
            layers: image.layers.iter().map(|layer| layer_name(&layer.diff_id)).collect(),
        });
        configs.push(Part { name, size: config.len() as u64, body: Body::Memory(config) });
        for layer in image.layers.iter().skip(*present).filter(|layer| seen.insert(layer.diff_id)) {
            let blob = store.blob(&layer.diff_id)?;
            let form = if blob.compression == Compression::Gzip && !plain { Form::Gzip } else { Form::Plain };
            let size = sent_size(store, &layer.diff_id, blob, form)?;
            let body = Body::Layer(layer.diff_id, blob, form);
            layers.push((blob.offset, Part { name: layer_name(&layer.diff_id), size, body }));
        }
    }
    // In the order of the archive, one that is compressed as a whole is decompressed only once.
    layers.sort_by_key(|(offset, _)| *offset);
    let manifest = serde_json::to_vec(&manifest).expect("strings and lists always serialize");
    let manifest = Part { name: "manifest.json".into(), size: manifest.len() as u64, body: Body::Memory(manifest) };
    let parts = std::iter::once(manifest).chain(configs).chain(layers.into_iter().map(|(_, part)| part)).collect();
    Ok(LoadStream(Source::Archive { store: Arc::clone(store), parts }))
}

fn layer_name(diff_id: &DiffId) -> String {
    format!("{}.tar", diff_id.hex())
}

/// Returns the size of a layer as it is sent, in bytes. A tar header needs it first: a layer that is decompressed is read
/// once more.
fn sent_size(store: &Store, diff_id: &DiffId, blob: Blob, form: Form) -> Result<u64, ArchiveError> {
    if form == Form::Gzip || blob.compression == Compression::None {
        return Ok(blob.size);
    }
    let mut bytes = store.bytes()?;
    Ok(copy(&mut unpacked(&mut bytes, diff_id, blob)?, |_| Ok(()))?)
}

fn unpacked<'a>(bytes: &'a mut Bytes, diff_id: &DiffId, blob: Blob) -> Result<LayerReader<impl Read + use<'a>>, ArchiveError> {
    bytes.go_to(blob.offset)?;
    let stored = BufReader::with_capacity(64 << 10, bytes.take(blob.size));
    Ok(LayerReader::new(blob.compression.decode(stored)?, *diff_id))
}

impl LoadStream {
    /// Returns the total number of bytes; `None` for an image that this computer's docker saves meanwhile.
    pub fn total(&self) -> Option<u64> {
        match &self.0 {
            Source::Archive { parts, .. } => {
                let padded = parts.iter().map(|part| BLOCK + part.size.next_multiple_of(BLOCK));
                Some(padded.sum::<u64>() + 2 * BLOCK)
            }
            Source::Engine(_) => None,
        }
    }

    /// Returns the layers in the stream, each with the position of its content in bytes from the beginning.
    pub fn layers(&self) -> Vec<(DiffId, u64)> {
        let Source::Archive { parts, .. } = &self.0 else { return Vec::new() };
        let mut layers = Vec::new();
        let mut position = 0;
        for Part { size, body, .. } in parts {
            position += BLOCK;
            if let Body::Layer(diff_id, ..) = body {
                layers.push((*diff_id, position));
            }
            position += size.next_multiple_of(BLOCK);
        }
        layers
    }

    /// Writes it all. Blocks.
    ///
    /// # Errors
    /// The error of writing to `out`, a file that cannot be read any more, or a damaged layer: then the output is not a whole
    /// archive, so that docker keeps nothing of it.
    pub fn write(self, out: &mut dyn Write) -> io::Result<()> {
        let (store, parts) = match self.0 {
            Source::Archive { store, parts } => (store, parts),
            Source::Engine(saved) => return saved.write(out),
        };
        let mut bytes = store.bytes()?;
        for Part { name, size, body } in &parts {
            out.write_all(header(name, *size)?.as_bytes())?;
            let written = match body {
                Body::Memory(content) => out.write_all(content).map(|()| *size)?,
                Body::Layer(diff_id, blob, form) => write_layer(&mut bytes, diff_id, *blob, *form, out)?,
            };
            if written != *size {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive was changed while it was being sent"));
            }
            let padding = size.next_multiple_of(BLOCK) - size;
            out.write_all(&vec![0; usize::try_from(padding).unwrap_or_default()])?;
        }
        out.write_all(&[0; 2 * BLOCK as usize])
    }

    /// Writes it on a thread of its own into a channel of pieces of [`PIECE`] bytes; an error comes last. The thread ends when
    /// the receiver is dropped.
    pub fn pieces(self) -> mpsc::Receiver<io::Result<Vec<u8>>> {
        self.pieces_through(Self::write)
    }

    /// Sends what `write` makes of the stream as pieces, like [`LoadStream::pieces`].
    pub fn pieces_through(
        self,
        write: impl FnOnce(Self, &mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> mpsc::Receiver<io::Result<Vec<u8>>> {
        let (sender, receiver) = mpsc::channel(PIECES_WAITING);
        std::thread::spawn(move || {
            let mut out = Pieces { sender, piece: Vec::with_capacity(PIECE) };
            if let Err(error) = write(self, &mut out).and_then(|()| out.flush()) {
                // Nobody listens any more if this fails, so nobody needs to know.
                let _ = out.sender.blocking_send(Err(error));
            }
        });
        receiver
    }
}

fn write_layer(bytes: &mut Bytes, diff_id: &DiffId, blob: Blob, form: Form, out: &mut dyn Write) -> io::Result<u64> {
    if form == Form::Gzip {
        bytes.go_to(blob.offset)?;
        return copy_gzip(&mut bytes.take(blob.size), *diff_id, out);
    }
    copy(&mut unpacked(bytes, diff_id, blob)?, |piece| out.write_all(piece))
}

/// Creates a header that depends only on name and size. GNU's format takes sizes from 8 GiB on.
fn header(name: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

/// Cuts what is written into pieces for a channel.
struct Pieces {
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.piece.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.piece.extend_from_slice(taken);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
