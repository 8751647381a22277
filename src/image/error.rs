//! The errors of images on this computer, and how to solve them.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Compression, DiffId, ImageId, ReferenceError};
use crate::failure::{Explain, FailureKind};

/// Why an image cannot be had from this computer.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Neither a file nor an image of that name.
    #[error("there is neither a file nor an image `{0}` on this computer")]
    Missing(String),
    /// No file of that name, and no docker to ask.
    #[error("there is no file `{name}` on this computer, and no docker that could have an image of that name")]
    NoDocker {
        /// Name of the file or image that was asked for.
        name: String,
        /// Why the command could not be started.
        source: io::Error,
    },
    /// Docker is there but cannot be asked.
    #[error("there is no file `{name}` on this computer, and its docker cannot be asked for an image: {reason}")]
    Docker {
        /// Name of the file or image that was asked for.
        name: String,
        /// The error message of docker.
        reason: String,
    },
    /// A directory where a file is expected.
    #[error("`{}` is a directory, not an image archive", .0.display())]
    Directory(PathBuf),
    /// A file that cannot be read, or a temporary one that cannot be written.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// No room for a copy of what docker saves.
    #[error("the image could not be copied to a temporary file")]
    Spool(#[source] io::Error),
    /// A file that is no image, or a damaged one.
    #[error("`{}` is not an image that can be loaded: {flaw}", path.display())]
    Flawed {
        /// Path of the file.
        path: PathBuf,
        /// The fault of the archive.
        flaw: ArchiveError,
    },
    /// One name for several images.
    #[error("`{}` holds {} images, and none or several of them are named `{name}`", path.display(), found.len())]
    Ambiguous {
        /// Path of the file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The names that are in it.
        found: Vec<String>,
    },
    /// The name the image is to have is none.
    #[error("the image cannot be named so: {0}")]
    Name(#[from] ReferenceError),
}

/// The faults of an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive has no bytes.
    #[error("it is empty")]
    Empty,
    /// Something else.
    #[error("it is not a tar archive")]
    NotTar,
    /// The archive ends in the middle.
    #[error("it is cut off")]
    Truncated,
    /// Nonsense where a tar header should be, or a stream that does not decompress.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A compression that is not read here.
    #[error("it is compressed with {}", .0.name())]
    Packed(Compression),
    /// A layer with a compression that is not read here.
    #[error("the layer `{name}` in it is compressed with {}", compression.name())]
    PackedLayer {
        /// Name of the layer in the archive.
        name: String,
        /// The compression of the layer.
        compression: Compression,
    },
    /// A part whose holes were left out.
    #[error("`{0}` in it is stored with holes (`tar --sparse`)")]
    Sparse(String),
    /// The archive has no images.
    #[error("there is no image in it")]
    NoImages,
    /// Manifests that look like an image's, and are for no platform.
    #[error("there is no image in it, only signatures, attestations or other artifacts")]
    Artifacts,
    /// A part that is read into memory is far larger than it ever is.
    #[error("`{name}` in it has {size} bytes, more than any image has there")]
    TooLarge {
        /// Name of the part in the archive.
        name: String,
        /// Size of the part, in bytes.
        size: u64,
    },
    /// More of something than any image has.
    #[error("it has more {0} than any image")]
    TooMany(&'static str),
    /// A part that is named but not there.
    #[error("`{0}` is missing in it")]
    Missing(String),
    /// A name that leads out of the archive.
    #[error("`{0}` in it leads out of the archive")]
    Outside(String),
    /// A part that does not say what it should.
    #[error("`{name}` in it cannot be understood: {source}")]
    Json {
        /// Name of the part in the archive.
        name: String,
        /// The error of the JSON parser.
        source: serde_json::Error,
    },
    /// The bytes are not those that the name promises.
    #[error("`{name}` in it is damaged: its digest is {found}")]
    Digest {
        /// Name of the part in the archive.
        name: String,
        /// The digest of its bytes.
        found: String,
    },
    /// The layers are not those the configuration speaks of.
    #[error("it lists {listed} layers for image {image}, which has {layers}")]
    Layers {
        /// ID of the image.
        image: ImageId,
        /// Layers in the manifest.
        listed: usize,
        /// Layers in the configuration.
        layers: usize,
    },
    /// A layer whose bytes are not those of its diff ID.
    #[error("the layer {0} in it is damaged: its content has another digest")]
    Layer(DiffId),
    /// A reference in it that docker would refuse.
    #[error("it has a wrong name for an image: {0}")]
    Reference(#[from] ReferenceError),
    /// A tar archive of something else.
    #[error("it has neither `manifest.json` nor `index.json`, nor is it a root file system, for it has no programs")]
    NoImage,
    /// Programs for a processor that nobody has heard of.
    #[error("the programs in it are for an unknown processor (ELF machine {0})")]
    UnknownMachine(u16),
    /// The archive could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ArchiveError {
    /// Adds the path of the file to the fault. An error of the operating system is not a fault of the file.
    pub(super) fn at(self, path: &Path) -> ImageError {
        let path = path.to_owned();
        match self {
            Self::Io(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof => ImageError::Flawed { path, flaw: Self::Truncated },
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                    ImageError::Flawed { path, flaw: Self::Damaged(error.to_string()) }
                }
                _ => ImageError::Unreadable { path, source: error },
            },
            flaw => ImageError::Flawed { path, flaw },
        }
    }
}

impl From<ArchiveError> for io::Error {
    fn from(flaw: ArchiveError) -> Self {
        match flaw {
            ArchiveError::Io(error) => error,
            flaw => Self::new(io::ErrorKind::InvalidData, flaw),
        }
    }
}

impl Explain for ImageError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Flawed { .. } | Self::Ambiguous { .. } => FailureKind::Image,
            Self::Name(_) => FailureKind::Usage,
            _ => FailureKind::LocalFile,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing(_) => "check the path; `docker image ls` lists the images that docker has here".into(),
            Self::NoDocker { .. } => "check the path, or save the image where docker is: `docker save -o app.tar IMAGE`".into(),
            Self::Docker { .. } => {
                "check the path; for an image in docker, start docker and see that `docker image ls` works".into()
            }
            Self::Directory(path) => {
                let path = quoted(path);
                format!(
                    "make an archive of what is in it: `tar -C {path} -cf app.tar .`; a directory itself can be an OCI layout"
                )
            }
            Self::Spool(_) => "free some room where temporary files go, or set `TMPDIR` to a roomier place".into(),
            Self::Ambiguous { found, .. } => format!("it has {}; leave the name out to send all", found.join(", ")),
            Self::Flawed { path, flaw: ArchiveError::Packed(compression) } => {
                format!("unpack it first: `{} -dc {} >unpacked.tar`", compression.name(), quoted(path))
            }
            Self::Flawed { flaw: ArchiveError::PackedLayer { .. }, .. } => {
                "build it with layers in gzip: `--output type=docker,compression=gzip,force-compression=true,dest=app.tar`"
                    .into()
            }
            Self::Flawed { flaw: ArchiveError::Sparse(_), .. } => {
                "unpack it and make the archive again without `--sparse` (`-S`)".into()
            }
            Self::Flawed {
                flaw:
                    ArchiveError::NotTar
                    | ArchiveError::NoImage
                    | ArchiveError::NoImages
                    | ArchiveError::Artifacts
                    | ArchiveError::UnknownMachine(_),
                ..
            } => "write the image with `docker save -o app.tar IMAGE`, or build it with `--output type=docker,dest=app.tar`"
                .into(),
            Self::Flawed { flaw: ArchiveError::Reference(_), .. } | Self::Name(_) => {
                "a name is like `app` or `registry:5000/team/app:1.0`".into()
            }
            Self::Flawed { .. } => "write or copy the archive again".into(),
            Self::Unreadable { .. } => return None,
        })
    }
}

/// Returns a path as it is typed in a shell.
fn quoted(path: &Path) -> String {
    crate::command::quote(&path.to_string_lossy())
}
