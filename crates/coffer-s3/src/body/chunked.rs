//! The aws-chunked framing, decoded incrementally.
//!
//! ```text
//! body    = *chunk last trailers CRLF
//! chunk   = size [";chunk-signature=" sig] CRLF data CRLF      size in hex, above 0
//! last    = "0"  [";chunk-signature=" sig] CRLF
//! trailers= *(name ":" value CRLF) ["x-amz-trailer-signature:" sig CRLF]
//! ```
//!
//! Data is released as it comes, as slices of what came. The signature of a chunk covers all of it,
//! so it is checked when the chunk ends, after its data was released: what was released is only
//! known to be what was signed once [`ChunkDecoder::finish`] has said so.
//!
//! Some clients (minio-go among them) end a trailer with a bare LF, put an empty line between the
//! trailers and their signature, and another one after the body. That is accepted.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use coffer_sigv4::ChunkSigner;
use sha2::{Digest as _, Sha256};

use crate::error::{Code, S3Error};

/// The largest chunk: as large as the largest payload of one request.
pub const CHUNK_BYTES_MAX: u64 = 5 << 30;
/// The longest chunk header or trailer line.
const LINE_BYTES_MAX: usize = 4096;
/// The most trailers.
const TRAILERS_MAX: usize = 16;

/// Decodes one body.
pub struct ChunkDecoder {
    state: State,
    /// The line being collected, without its end.
    line: Vec<u8>,
    signer: Option<ChunkSigner>,
    /// Whether trailers may follow.
    trailing: bool,
    /// Which trailers were announced, in lower case.
    announced: Vec<String>,
    trailers: Vec<(String, String)>,
    trailer_signature: Option<String>,
    /// Whether an empty line stood between the trailers and their signature.
    gap: bool,
}

enum State {
    /// In the line that opens a chunk.
    Header,
    /// In a chunk's data.
    Data { left: u64, signed: Option<Signed> },
    /// In the line end after a chunk's data.
    DataEnd,
    /// After the last chunk.
    Trailers,
    /// After the empty line that ends the body, and so many bytes of one more line end.
    Done { after: usize },
}

/// What a chunk's signature is checked against.
struct Signed {
    signature: String,
    digest: Sha256,
}

impl ChunkDecoder {
    /// For chunks signed by `signer`, if there is one. `announced` names the trailers that will
    /// come, in lower case.
    pub fn new(signer: Option<ChunkSigner>, trailing: bool, announced: Vec<String>) -> Self {
        Self {
            state: State::Header,
            line: Vec::new(),
            signer,
            trailing,
            announced,
            trailers: Vec::new(),
            trailer_signature: None,
            gap: false,
        }
    }

    /// Decodes the next bytes of the body and appends their payload to `out`.
    pub fn feed(&mut self, mut data: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), S3Error> {
        while !data.is_empty() {
            match &mut self.state {
                State::Data { left, signed } => {
                    let n = (*left).min(data.len() as u64) as usize;
                    let piece = data.split_to(n);
                    *left -= n as u64;
                    if let Some(signed) = signed {
                        signed.digest.update(&piece);
                    }
                    out.push_back(piece);
                    if *left == 0 {
                        if let Some(signed) = signed.take() {
                            self.check_chunk(signed)?;
                        }
                        self.state = State::DataEnd;
                    }
                }
                State::Done { after } => {
                    if b"\r\n".get(*after) != data.first() {
                        return Err(malformed("there are bytes after the end of the body"));
                    }
                    *after += 1;
                    data.advance(1);
                }
                State::Header | State::DataEnd | State::Trailers => {
                    if let Some(line) = self.take_line(&mut data)? {
                        self.on_line(line)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The body has ended: gives the trailers if everything was there, and signed where it must.
    pub fn finish(&mut self) -> Result<Vec<(String, String)>, S3Error> {
        if !matches!(self.state, State::Done { after: 0 | 2 }) {
            return Err(S3Error::new(Code::IncompleteBody));
        }
        Ok(std::mem::take(&mut self.trailers))
    }

    /// Moves bytes into the line until it is whole.
    fn take_line(&mut self, data: &mut Bytes) -> Result<Option<Vec<u8>>, S3Error> {
        let end = data.iter().position(|b| *b == b'\n');
        let n = end.unwrap_or(data.len());
        if self.line.len() + n > LINE_BYTES_MAX {
            return Err(malformed("a line is too long"));
        }
        self.line.extend_from_slice(&data[..n]);
        data.advance(n);
        if end.is_none() {
            return Ok(None);
        }
        data.advance(1);
        match self.line.last() {
            Some(b'\r') => drop(self.line.pop()),
            // A trailer, that is: the empty line after it is one of CRLF.
            Some(_) if matches!(self.state, State::Trailers) => {}
            _ => return Err(malformed("a line does not end with CRLF")),
        }
        Ok(Some(std::mem::take(&mut self.line)))
    }

    fn on_line(&mut self, line: Vec<u8>) -> Result<(), S3Error> {
        let line = String::from_utf8(line).map_err(|_| malformed("a line is not text"))?;
        match self.state {
            State::Header => self.on_header(&line),
            State::DataEnd if line.is_empty() => {
                self.state = State::Header;
                Ok(())
            }
            State::DataEnd => Err(malformed("a chunk is longer than its size")),
            State::Trailers if line.is_empty() => self.on_end(),
            State::Trailers => self.on_trailer(&line),
            State::Data { .. } | State::Done { .. } => {
                unreachable!("lines are not looked for here")
            }
        }
    }

    fn on_header(&mut self, line: &str) -> Result<(), S3Error> {
        let (size, extensions) = line.split_once(';').unwrap_or((line, ""));
        let size = size.trim();
        let fits = (1..=16).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
        if !fits {
            return Err(malformed("a chunk's size is not a number"));
        }
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed("a chunk is too large"))?;
        if size > CHUNK_BYTES_MAX {
            return Err(malformed("a chunk is too large"));
        }
        let signed = match &self.signer {
            None => None,
            Some(_) => {
                let signature = extensions
                    .split(';')
                    .find_map(|e| e.trim().strip_prefix("chunk-signature="))
                    .ok_or_else(|| malformed("a chunk has no signature"))?;
                Some(Signed { signature: signature.to_owned(), digest: Sha256::new() })
            }
        };
        if size > 0 {
            self.state = State::Data { left: size, signed };
            return Ok(());
        }
        if let Some(signed) = signed {
            self.check_chunk(signed)?;
        }
        self.state = State::Trailers;
        Ok(())
    }

    fn check_chunk(&mut self, Signed { signature, digest }: Signed) -> Result<(), S3Error> {
        let signer = self.signer.as_mut().expect("a chunk is signed with it");
        Ok(signer.check_chunk(&digest.finalize().into(), &signature)?)
    }

    fn on_trailer(&mut self, line: &str) -> Result<(), S3Error> {
        let malformed = || S3Error::new(Code::MalformedTrailer);
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        if !self.trailing || self.trailers.len() == TRAILERS_MAX {
            return Err(malformed());
        }
        if name == "x-amz-trailer-signature" && self.signer.is_some() {
            if self.trailer_signature.replace(value).is_some() {
                return Err(malformed());
            }
            return Ok(());
        }
        // The signature covers what stands before it, and nothing but it follows the gap.
        let known = self.announced.contains(&name) && !self.trailers.iter().any(|t| t.0 == name);
        if !known || self.trailer_signature.is_some() || self.gap {
            return Err(malformed());
        }
        self.trailers.push((name, value));
        Ok(())
    }

    fn on_end(&mut self) -> Result<(), S3Error> {
        let unsigned = self.signer.is_some() && self.trailer_signature.is_none();
        if self.trailing && unsigned && !self.trailers.is_empty() && !self.gap {
            self.gap = true;
            return Ok(());
        }
        if self.trailing {
            let all_came = self.announced.iter().all(|a| self.trailers.iter().any(|t| t.0 == *a));
            if !all_came {
                return Err(S3Error::new(Code::MalformedTrailer));
            }
            if let Some(signer) = &mut self.signer {
                let signature = self
                    .trailer_signature
                    .as_deref()
                    .ok_or_else(|| S3Error::new(Code::MalformedTrailer))?;
                signer.check_trailer(&self.trailers, signature)?;
            }
        }
        self.state = State::Done { after: 0 };
        Ok(())
    }
}

fn malformed(what: &str) -> S3Error {
    S3Error::with_message(
        Code::InvalidRequest,
        format!("The aws-chunked body is malformed: {what}."),
    )
}

#[cfg(test)]
mod tests;
