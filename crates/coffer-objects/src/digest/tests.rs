use super::*;

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// The check values of the CRC catalogue, and the published digests of FIPS 180 and RFC 1321.
#[test]
fn every_algorithm_gives_its_published_value() {
    let check = b"123456789";
    for (algorithm, expected) in [
        (ChecksumAlgorithm::Crc32, "cbf43926"),
        (ChecksumAlgorithm::Crc32c, "e3069283"),
        (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
        (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (
            ChecksumAlgorithm::Sha256,
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
        ),
    ] {
        let sum = checksum(algorithm, check);
        assert_eq!(hex(&sum.value), expected, "{algorithm}");
        assert_eq!(sum.value.len(), algorithm.digest_bytes());
        assert_eq!(sum.value, from_hex(expected));
    }
    assert_eq!(hex(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(hex(&md5(b"message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
    assert_eq!(
        hex(&checksum(ChecksumAlgorithm::Sha1, b"abc").value),
        "a9993e364706816aba3e25717850c26c9cd0d89d"
    );
    assert_eq!(hex(&checksum(ChecksumAlgorithm::Crc32, b"").value), "00000000");
}

#[test]
fn one_pass_in_any_pieces_gives_what_single_passes_give() {
    let data: Vec<u8> = (0..100_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    for pieces in [1, 7, 4096, 16 << 10, 100_000] {
        let mut digester = Digester::new(&[
            ChecksumAlgorithm::Sha256,
            ChecksumAlgorithm::Crc32,
            ChecksumAlgorithm::Crc32,
            ChecksumAlgorithm::Crc64Nvme,
        ]);
        let step = if pieces == 1 { 997 } else { pieces };
        data.chunks(step).for_each(|piece| digester.update(piece));
        let digests = digester.finish();
        assert_eq!(digests.md5, md5(&data));
        assert_eq!(digests.checksums.len(), 3);
        for sum in &digests.checksums {
            assert_eq!(*sum, checksum(sum.algorithm, &data));
        }
    }
}

#[test]
fn crcs_of_parts_combine_to_that_of_the_whole() {
    let data: Vec<u8> =
        (0..200_001u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    for algorithm in ChecksumAlgorithm::ALL.into_iter().filter(|a| a.combines()) {
        for cuts in [vec![], vec![0], vec![1], vec![100_000], vec![3, 3, 70_000, 200_001]] {
            let mut parts = Vec::new();
            let mut from = 0;
            for cut in cuts.iter().copied().chain([data.len()]) {
                parts.push((checksum(algorithm, &data[from..cut]), (cut - from) as u64));
                from = cut;
            }
            let parts: Vec<_> = parts.iter().map(|(sum, size)| (sum, *size)).collect();
            assert_eq!(
                combine(algorithm, &parts),
                checksum(algorithm, &data),
                "{algorithm} {cuts:?}"
            );
        }
    }
}

#[test]
fn a_composite_is_the_checksum_of_the_checksums() {
    for algorithm in ChecksumAlgorithm::ALL {
        let (a, b) = (checksum(algorithm, b"one"), checksum(algorithm, b"two"));
        let whole = composite(algorithm, [&a, &b].into_iter());
        assert_eq!(whole.kind, ChecksumKind::Composite { parts: 2 });
        assert_eq!(whole.value, checksum(algorithm, &[a.value, b.value].concat()).value);
    }
}

#[test]
fn crcs_of_any_length_combine_as_the_library_combines_them() {
    use coffer_base::Rng as _;

    let rng = coffer_base::rng::SeededRng::new(8);
    for algorithm in ChecksumAlgorithm::ALL.into_iter().filter(|a| a.combines()) {
        let most = if algorithm.digest_bytes() == 8 { u64::MAX } else { u64::from(u32::MAX) };
        for _ in 0..200 {
            let bytes = 1 + (rng.below(u64::MAX) >> (21 + rng.below(43)));
            let (first, second) = (rng.below(u64::MAX) & most, rng.below(u64::MAX) & most);
            let expected =
                crc_fast::checksum_combine(crc_algorithm(algorithm), first, second, bytes);
            let found = shift::Shifts::of(algorithm).combine(first, second, bytes);
            assert_eq!(found, expected, "{algorithm}, {bytes} bytes");
        }
    }
}
