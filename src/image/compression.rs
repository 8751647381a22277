//! Compressed streams: told by their first bytes, and read as what they hold.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// The largest window a zstd stream may ask for, in bytes; `zstd -19` uses 8 MiB.
const LARGEST_WINDOW: u64 = 32 << 20;

/// The compression of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// The stream is not compressed.
    None,
    /// gzip: every docker loads it.
    Gzip,
    /// zstd: docker loads it from 23.0 on, the devices' docker does not.
    Zstd,
    /// The stream is compressed with xz.
    Xz,
    /// The stream is compressed with bzip2.
    Bzip2,
}

impl Compression {
    /// Returns the compression of a stream that begins with these bytes; six bytes are enough.
    pub fn of(beginning: &[u8]) -> Self {
        const MAGIC: [(&[u8], Compression); 4] = [
            (&[0x1f, 0x8b], Compression::Gzip),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Compression::Xz),
            (b"BZh", Compression::Bzip2),
        ];
        MAGIC.iter().find(|(magic, _)| beginning.starts_with(magic)).map_or(Self::None, |(_, compression)| *compression)
    }

    /// Returns the name of the program that compresses in this way.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }

    /// Reads what `source` holds.
    ///
    /// # Errors
    /// xz and bzip2 are not read here.
    pub(super) fn decode<'a>(self, source: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        match self {
            Self::None => Ok(Box::new(source)),
            Self::Gzip => Ok(Box::new(MultiGzDecoder::new(source))),
            Self::Zstd => Ok(Box::new(ZstdDecoder::new(source))),
            Self::Xz | Self::Bzip2 => Err(io::Error::new(io::ErrorKind::Unsupported, format!("{} is not read", self.name()))),
        }
    }
}

/// Reads zstd frames one after the other, as the format allows them, and skips those that hold no data.
struct ZstdDecoder<R> {
    source: R,
    decoder: FrameDecoder,
}

impl<R: BufRead> ZstdDecoder<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(LARGEST_WINDOW);
        Self { source, decoder }
    }

    /// Begins the next frame with data; `false` at the end of the stream.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(damaged(error)),
            }
        }
    }
}

impl<R: BufRead> Read for ZstdDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if !self.decoder.is_finished() {
                self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1)).map_err(damaged)?;
            } else if !self.next_frame()? {
                return Ok(0);
            }
        }
    }
}

fn damaged(error: FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Compression::of(bytes).decode(bytes)?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn zstd_frames_are_read_one_after_the_other_and_empty_ones_skipped() {
        let mut bytes = compress_to_vec(&b"hello "[..], CompressionLevel::Fastest);
        bytes.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        bytes.extend(compress_to_vec(&b"world"[..], CompressionLevel::Fastest));
        assert_eq!(unpack(&bytes).expect("it is zstd"), b"hello world");
        assert!(unpack(&bytes[..bytes.len() - 3]).is_err());
    }

    #[test]
    fn a_window_larger_than_memory_allows_is_refused() {
        // Frame header without single segment; window descriptor 0x88: 2^(10+17) = 128 MiB.
        assert!(unpack(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 1, 0, 0]).is_err());
    }

    #[test]
    fn the_kind_is_told_by_the_first_bytes() {
        assert_eq!(Compression::of(b"\x1f\x8b\x08"), Compression::Gzip);
        assert_eq!(Compression::of(b"\xfd7zXZ\0"), Compression::Xz);
        assert_eq!(Compression::of(b"BZh9"), Compression::Bzip2);
        assert_eq!(Compression::of(b""), Compression::None);
    }
}
