use coffer_base::rng::SeededRng;
use coffer_base::{Rng as _, Timestamp};
use coffer_sigv4::{Service, SigningKey};

use super::*;
use crate::time;

fn signer() -> ChunkSigner {
    let key = SigningKey::derive("secret", "20130524", "us-east-1", Service::S3);
    let date = time::amz_date(Timestamp(1_369_353_600_000));
    ChunkSigner::new(key, date, "20130524/us-east-1/s3/aws4_request".into(), "seed".into())
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
    let fed = pieces.iter().try_for_each(|p| decoder.feed(Bytes::copy_from_slice(p), &mut out));
    let released: Vec<u8> = out.iter().flatten().copied().collect();
    let whole = fed.and_then(|()| decoder.finish());
    let decoded = whole.map(|trailers| (released.clone(), trailers)).map_err(|e| e.code);
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
                let trailers: Vec<_> =
                    trailer.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
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
                    assert!(decoded == expected, "signed: {signed}, trailer: {trailer:?}");
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
fn a_chunk_is_released_as_it_comes_and_a_forged_one_never_ends_well() {
    let encoded = encode(&[b"hello", b"world"], true, Some(TRAILER));
    let text = String::from_utf8(encoded).unwrap();
    for (from, to, released) in [
        ("hello", "hellO", &b"hellO"[..]),
        ("world", "worlD", b"helloworlD"),
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
        let (_, decoded) = decode(decoder(true, Some(TRAILER)), &[&flipped]);
        if let Ok((out, _)) = decoded {
            assert_eq!(out, b"helloworld", "{i}");
        }
        flipped[i] ^= 1;
    }
    // Nothing is held back until the end of the chunk.
    let mut decoder = decoder(true, None);
    let mut out = VecDeque::new();
    let opened = format!("{CHUNK_BYTES_MAX:x};chunk-signature=0\r\nhello");
    decoder.feed(Bytes::from(opened), &mut out).unwrap();
    assert_eq!(out, [&b"hello"[..]]);
    assert_eq!(decoder.finish().unwrap_err().code, Code::IncompleteBody);
}

/// The signatures of a chunk `hello`, of the last chunk, and of [`TRAILER`].
fn signatures() -> [String; 3] {
    let mut signer = signer();
    let chunks = [&b"hello"[..], b""].map(|chunk| signer.sign_chunk(&Sha256::digest(chunk).into()));
    let [first, last] = chunks;
    let trailer = signer.sign_trailer(&[(TRAILER.0.to_owned(), TRAILER.1.to_owned())]);
    [first, last, trailer]
}

#[test]
fn trailers_as_minio_go_sends_them_are_understood() {
    let [first, last, sum] = signatures();
    let unsigned = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\n\r\n\r\n".to_owned();
    let signed = format!(
        "5;chunk-signature={first}\r\nhello\r\n0;chunk-signature={last}\r\n\
         x-amz-checksum-crc32:AAAAAA==\n\r\nx-amz-trailer-signature:{sum}\r\n\r\n"
    );
    let trailers = vec![(TRAILER.0.to_owned(), TRAILER.1.to_owned())];
    for (is_signed, encoded) in [(false, &unsigned), (true, &signed)] {
        let expected = Ok((b"hello".to_vec(), trailers.clone()));
        let bytes: Vec<&[u8]> = encoded.as_bytes().chunks(1).collect();
        for pieces in [&[encoded.as_bytes()][..], &bytes] {
            let (_, decoded) = decode(decoder(is_signed, Some(TRAILER)), pieces);
            assert_eq!(decoded, expected, "signed: {is_signed}");
        }
        for cut in 0..encoded.len() {
            // Only the line end that others do not send may be missing.
            let whole = !is_signed && cut == encoded.len() - 2;
            let (_, decoded) = decode(decoder(is_signed, Some(TRAILER)), &[&bytes[..cut].concat()]);
            assert_eq!(decoded.is_ok(), whole, "{cut}");
        }
    }
    for (from, to, code) in [
        ("AAAAAA==", "AAAAAB==", Code::SignatureDoesNotMatch),
        ("==\n\r\nx", "==\n\r\n\r\nx", Code::MalformedTrailer),
        ("\r\n\r\n", "\r\n\r\n\r\n\r\n", Code::InvalidRequest),
        ("==\n\r\nx", "==\n\nx", Code::InvalidRequest),
        ("5;chunk", "5\n;chunk", Code::InvalidRequest),
        ("x-amz-trailer-signature", "x-amz-meta-a", Code::MalformedTrailer),
    ] {
        assert!(signed.contains(from), "{from:?}");
        let changed = signed.replace(from, to);
        let (_, decoded) = decode(decoder(true, Some(TRAILER)), &[changed.as_bytes()]);
        assert_eq!(decoded, Err(code), "{to:?}");
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
    // One line end may follow the end, and no more.
    let ends = |extra: &str| {
        let encoded = format!("5\r\nhello\r\n0\r\n\r\n{extra}");
        decode(decoder(false, None), &[encoded.as_bytes()]).1.err()
    };
    assert_eq!(ends("\r\n"), None);
    assert_eq!(ends("\r"), Some(Code::IncompleteBody));
    for extra in ["\n", "\r\r", "\r\n\r\n", "more"] {
        assert_eq!(ends(extra), Some(Code::InvalidRequest), "{extra:?}");
    }
    // A signed chunk needs a signature, and a size that an object can have.
    for (garbage, code) in
        [("5\r\n", Code::InvalidRequest), ("140000001;chunk-signature=0\r\n", Code::InvalidRequest)]
    {
        assert_eq!(decode(decoder(true, None), &[garbage.as_bytes()]).1, Err(code));
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
        let trailer = if rng.below(2) == 0 { None } else { Some(TRAILER) };
        let _ = decode(decoder(rng.below(2) == 0, trailer), &[&bytes]);
    }
}
