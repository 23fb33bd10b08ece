use coffer_base::rng::SeededRng;
use coffer_base::{Rng as _, Timestamp};

use super::*;
use crate::auth::SigningKey;
use crate::time;

fn signer() -> ChunkSigner {
    let key = SigningKey::derive("secret", "20130524", "us-east-1");
    let date = time::amz_date(Timestamp(1_369_353_600_000));
    ChunkSigner::new(
        key,
        date,
        "20130524/us-east-1/s3/aws4_request".into(),
        "seed".into(),
    )
}

/// Encodes `chunks` as a client does.
fn encode(chunks: &[&[u8]], signed: bool, trailer: Option<(&str, &str)>) -> Vec<u8> {
    let mut signer = signer();
    let mut out = Vec::new();
    for chunk in chunks.iter().copied().chain([&b""[..]]) {
        out.extend_from_slice(format!("{:x}", chunk.len()).as_bytes());
        if signed {
            let signature = signer.sign_chunk(&Sha256::digest(chunk).into());
            out.extend_from_slice(format!(";chunk-signature={signature}").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        if !chunk.is_empty() {
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
    }
    if let Some((name, value)) = trailer {
        out.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
        if signed {
            let signature = signer.sign_trailer(&[(name.to_owned(), value.to_owned())]);
            out.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn decoder(signed: bool, trailer: Option<(&str, &str)>) -> ChunkDecoder {
    let announced = trailer.iter().map(|(name, _)| (*name).to_owned()).collect();
    let signer = if signed { Some(signer()) } else { None };
    ChunkDecoder::new(signer, trailer.is_some() || !signed, announced)
}

type Decoded = Result<(Vec<u8>, Vec<(String, String)>), Code>;

/// Feeds `pieces` and gives payload and trailers; what was released before an error too.
fn decode(mut decoder: ChunkDecoder, pieces: &[&[u8]]) -> (Vec<u8>, Decoded) {
    let mut out = VecDeque::new();
    let fed = pieces
        .iter()
        .try_for_each(|p| decoder.feed(Bytes::copy_from_slice(p), &mut out));
    let released: Vec<u8> = out.iter().flatten().copied().collect();
    let whole = fed.and_then(|()| decoder.finish());
    let decoded = whole
        .map(|trailers| (released.clone(), trailers))
        .map_err(|e| e.code);
    (released, decoded)
}

const TRAILER: (&str, &str) = ("x-amz-checksum-crc32", "AAAAAA==");

#[test]
fn any_split_gives_the_same_payload() {
    let big = vec![7u8; 70_000];
    let rng = SeededRng::new(1);
    for signed in [false, true] {
        for trailer in [None, Some(TRAILER)] {
            let tricky: [&[u8]; 3] = [&big, b"\r\n0\r\n\r\n", &big[..4096]];
            for chunks in [&[][..], &[&b"hello"[..], b"w"], &tricky] {
                let encoded = encode(chunks, signed, trailer);
                let trailers: Vec<_> = trailer
                    .iter()
                    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                    .collect();
                let expected = Ok((chunks.concat(), trailers));
                for _ in 0..20 {
                    let mut pieces = Vec::new();
                    let mut rest = &encoded[..];
                    while !rest.is_empty() {
                        let bound = [2, 40, 9000][rng.below(3) as usize];
                        let n = (1 + rng.below(bound) as usize).min(rest.len());
                        let (piece, after) = rest.split_at(n);
                        pieces.push(piece);
                        rest = after;
                    }
                    let (_, decoded) = decode(decoder(signed, trailer), &pieces);
                    assert!(
                        decoded == expected,
                        "signed: {signed}, trailer: {trailer:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_cut_is_incomplete() {
    for signed in [false, true] {
        for trailer in [None, Some(TRAILER)] {
            let encoded = encode(&[b"hello", b"world"], signed, trailer);
            for cut in 0..encoded.len() {
                let (_, decoded) = decode(decoder(signed, trailer), &[&encoded[..cut]]);
                assert_eq!(decoded, Err(Code::IncompleteBody), "{cut}");
            }
        }
    }
}

#[test]
fn bytes_of_a_forged_chunk_are_never_released() {
    let encoded = encode(&[b"hello", b"world"], true, Some(TRAILER));
    let text = String::from_utf8(encoded).unwrap();
    for (from, to, released) in [
        ("hello", "hellO", &b""[..]),
        ("world", "worlD", b"hello"),
        ("AAAAAA==", "AAAAAB==", b"helloworld"),
        ("5;chunk", "05;chunk", b"helloworld"),
    ] {
        let forged = text.replace(from, to);
        let (out, decoded) = decode(decoder(true, Some(TRAILER)), &[forged.as_bytes()]);
        assert_eq!(out, released);
        match to {
            "05;chunk" => assert!(decoded.is_ok(), "a leading zero is the same size"),
            _ => assert_eq!(decoded, Err(Code::SignatureDoesNotMatch), "{to}"),
        }
    }
    let mut flipped = text.into_bytes();
    for i in 0..flipped.len() {
        flipped[i] ^= 1;
        let (out, _) = decode(decoder(true, Some(TRAILER)), &[&flipped]);
        assert!(b"helloworld".starts_with(&out[..]), "{i}");
        flipped[i] ^= 1;
    }
}

#[test]
fn framing_that_breaks_the_rules_is_refused() {
    let long_line = format!("{};x={}\r\n", 1, "y".repeat(LINE_BYTES_MAX));
    let many: String = (0..=TRAILERS_MAX).map(|i| format!("t{i}:v\r\n")).collect();
    let many = format!("0\r\n{many}\r\n");
    for garbage in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\n",
        " \r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "11111111111111111\r\n",
        "0\r\n\r\n\r\n",
        "0\r\n\r\nmore",
        "0\r\nnocolon\r\n\r\n",
        "0\r\nx-amz-meta-a:b\r\n\r\n",
        "0\r\nx-amz-checksum-crc32:a\r\nx-amz-checksum-crc32:a\r\n\r\n",
        "0\r\n\u{fffd}é:b\r\n\r\n",
        &long_line,
        &many,
    ] {
        let (_, decoded) = decode(decoder(false, Some(TRAILER)), &[garbage.as_bytes()]);
        assert!(
            matches!(decoded, Err(Code::InvalidRequest | Code::MalformedTrailer)),
            "{garbage:.60}: {decoded:?}"
        );
    }
    // An announced trailer must come, and without an announcement none may.
    let without = encode(&[b"a"], false, None);
    let (_, decoded) = decode(decoder(false, Some(TRAILER)), &[&without]);
    assert_eq!(decoded, Err(Code::MalformedTrailer));
    let with = encode(&[b"a"], true, Some(TRAILER));
    let (_, decoded) = decode(decoder(true, None), &[&with]);
    assert_eq!(decoded, Err(Code::MalformedTrailer));
    // A signed chunk needs a signature, and must fit in memory.
    for (garbage, code) in [
        ("5\r\n", Code::InvalidRequest),
        ("1000001;chunk-signature=0\r\n", Code::InvalidRequest),
    ] {
        assert_eq!(
            decode(decoder(true, None), &[garbage.as_bytes()]).1,
            Err(code)
        );
    }
}

#[test]
fn random_bytes_never_panic() {
    let rng = SeededRng::new(2);
    let alphabet = b"0123af;chunk-signature=\r\n\r\n:\0\xff";
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..rng.below(60))
            .map(|_| alphabet[rng.below(alphabet.len() as u64) as usize])
            .collect();
        let trailer = if rng.below(2) == 0 {
            None
        } else {
            Some(TRAILER)
        };
        let _ = decode(decoder(rng.below(2) == 0, trailer), &[&bytes]);
    }
}
