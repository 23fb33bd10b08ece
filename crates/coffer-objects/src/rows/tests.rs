//! Golden bytes: what is on the drives of people. A change of any of these is a change of the
//! format, and needs a new version and the page `docs/formats/object-records.md`.

use std::fmt::Debug;

use coffer_base::rng::{Rng, SeededRng};
use coffer_base::{Ack, BucketId, ObjectId, SegmentId, Timestamp};
use coffer_log::Extent;

use super::blob::{BlobPart, Manifest, ManifestRow, OwnerRow};
use super::bucket::BucketRow;
use super::head::{Body, HeadHeaders, HeadRow, VersionTag};
use super::headers::ColdRow;
use super::keys::{self, Parsed};
use super::setting::{AccessBlockRow, PolicyRow};
use super::upload::{PartRow, UploadRow};
use super::version::{MarkerRow, NullRow, VersionRow};
use super::*;
use crate::digest::hex;
use crate::etag::Etag;
use crate::types::{
    Checksum, ChecksumAlgorithm, ChecksumKind, ChecksumType, Headers, PublicAccessBlock, Versioning,
};
use crate::uploads::UploadId;

/// The row has these bytes; they read back as the row; no cut of them is a row, nor are they
/// with a byte more, in another version, or as garbage; nothing panics.
fn golden<T: Row + PartialEq + Debug>(row: &T, expected: &str) {
    let encoded = row.encode();
    assert_eq!(hex(&encoded), expected.replace(' ', ""), "{row:?}");
    assert_eq!(T::decode(&encoded).as_ref(), Some(row));
    for cut in 0..encoded.len() {
        assert_eq!(T::decode(&encoded[..cut]), None, "{} cut at {cut}", T::NAME);
    }
    let longer = [&encoded[..], &[0]].concat();
    assert_eq!(T::decode(&longer), None, "{} with a byte more", T::NAME);
    let newer = [&[encoded[0] + 1], &encoded[1..]].concat();
    assert_eq!(T::decode(&newer), None, "{} of another version", T::NAME);
    let rng = SeededRng::new(encoded.len() as u64);
    for _ in 0..2000 {
        let mut garbled = encoded.clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(garbled.len() as u64) as usize;
            garbled[at] = rng.next_u64() as u8;
        }
        // It may be a row, as any flipped digit of a size is; then it encodes to itself.
        if let Some(other) = T::decode(&garbled) {
            assert_eq!(T::decode(&other.encode()), Some(other));
        }
    }
}

fn inline() -> Extent {
    Extent {
        segment: SegmentId(0x0000_0001_0000_0002),
        offset: 300,
        len: 5,
        row_bytes: 0,
        checksum: 0x1122_3344_5566_7788,
    }
}

fn bulk() -> Extent {
    Extent {
        segment: SegmentId(0x0000_0001_0000_0003),
        offset: 4096,
        len: 1 << 20,
        row_bytes: 1 << 18,
        checksum: 0,
    }
}

fn crc() -> Checksum {
    Checksum::full(ChecksumAlgorithm::Crc64Nvme, vec![1, 2, 3, 4, 5, 6, 7, 8])
}

fn composite() -> Checksum {
    Checksum {
        algorithm: ChecksumAlgorithm::Crc32,
        value: vec![0xaa, 0xbb, 0xcc, 0xdd],
        kind: ChecksumKind::Composite { parts: 200 },
    }
}

fn head() -> HeadRow {
    HeadRow {
        version: VersionTag::FIRST,
        object_id: ObjectId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        size: 5,
        etag: Etag::Single([0x5d; 16]),
        modified: Timestamp(1_700_000_000_000),
        checksum: Some(crc()),
        upload: None,
        headers: HeadHeaders::Here(Headers {
            content_type: Some("text/plain".to_owned()),
            user: vec![("a".to_owned(), b"b".to_vec())],
            ..Headers::default()
        }),
        body: Body::Inline(inline()),
    }
}

#[test]
fn heads() {
    golden(
        &head(),
        "01 29 ffeeddccbbaa99887766554433221100 05 5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d \
         80d095ffbc31 030102030405060708 11 010a746578742f706c61696e 0901610162 \
         0200000001000000 ac02 05 00 8877665544332211",
    );
    golden(
        &HeadRow {
            size: 0,
            checksum: None,
            headers: HeadHeaders::Here(Headers::default()),
            body: Body::Empty,
            ..head()
        },
        "01 00 ffeeddccbbaa99887766554433221100 00 5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d 80d095ffbc31",
    );
    golden(
        &HeadRow {
            size: 1 << 20,
            etag: Etag::Multipart([0x5d; 16], 300),
            checksum: Some(composite()),
            upload: Some(UploadId([0x0f; 16])),
            headers: HeadHeaders::Cold,
            body: Body::Blob(head().object_id),
            ..head()
        },
        "01 76 ffeeddccbbaa99887766554433221100 808040 5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d ac02 \
         80d095ffbc31 81aabbccddc801 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
    );
    golden(
        &HeadRow {
            checksum: None,
            headers: HeadHeaders::Here(Headers::default()),
            body: Body::Blob(ObjectId(7)),
            ..head()
        },
        "01 82 ffeeddccbbaa99887766554433221100 05 5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d \
         80d095ffbc31 07000000000000000000000000000000",
    );
}

#[test]
fn heads_of_buckets_with_versions() {
    let first = HeadRow {
        size: 0,
        checksum: None,
        headers: HeadHeaders::Here(Headers::default()),
        body: Body::Empty,
        ..head()
    };
    let given = VersionTag { sequence: 258, is_null: false };
    golden(
        &HeadRow { version: given, ..first.clone() },
        "02 00 00 0201000000000000 ffeeddccbbaa99887766554433221100 00 \
         5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d 80d095ffbc31",
    );
    let null = VersionTag { sequence: 258, is_null: true };
    let value = HeadRow { version: null, ..first.clone() }.encode();
    assert_eq!(value[..3], [2, 0, 1]);
    // No sequence, and flags that have no meaning yet: somebody's lock, say.
    for (at, with) in [(3, 0), (2, 2), (2, 0x81)] {
        let mut bad = value.clone();
        bad[at] = with;
        if at == 3 {
            bad[3..11].fill(0);
        }
        assert_eq!(HeadRow::decode(&bad), None, "byte {at}");
    }
    let block = headers::encode(&Headers::default());
    let placed = HeadRow { version: null, ..first };
    assert_eq!(placed.encode_with(Some(&block), Body::Empty), value);
}

#[test]
fn versions() {
    golden(
        &VersionRow::Object(HeadRow {
            size: 0,
            checksum: None,
            headers: HeadHeaders::Here(Headers::default()),
            body: Body::Empty,
            ..head()
        }),
        "01 01 01 00 ffeeddccbbaa99887766554433221100 00 5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d \
         80d095ffbc31",
    );
    golden(
        &VersionRow::Object(HeadRow {
            version: VersionTag { sequence: 258, is_null: false },
            size: 0,
            checksum: None,
            headers: HeadHeaders::Here(Headers::default()),
            body: Body::Empty,
            ..head()
        }),
        "01 01 02 00 00 0201000000000000 ffeeddccbbaa99887766554433221100 00 \
         5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d 80d095ffbc31",
    );
    let marker = MarkerRow { is_null: false, object_id: ObjectId(7), modified: Timestamp(1) };
    golden(&VersionRow::Marker(marker.clone()), "01 02 00 07000000000000000000000000000000 01");
    golden(
        &VersionRow::Marker(MarkerRow { is_null: true, ..marker }),
        "01 02 01 07000000000000000000000000000000 01",
    );
    golden(&NullRow { sequence: 258 }, "01 0201000000000000");
    assert_eq!(VersionRow::decode(&[1, 3]), None, "no such kind");
}

#[test]
fn a_row_of_a_newer_program_is_told_from_a_malformed_one() {
    let key = keys::bucket("abc");
    for (value, says) in [(&[9][..], "newer program"), (&[2], "malformed"), (&[], "malformed")] {
        let error = read::<BucketRow>(&key, value).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn cold_headers() {
    let headers = Headers {
        content_type: Some("1".to_owned()),
        content_encoding: Some("2".to_owned()),
        content_disposition: Some("3".to_owned()),
        content_language: Some("4".to_owned()),
        cache_control: Some("5".to_owned()),
        expires: Some("6".to_owned()),
        website_redirect: Some("7".to_owned()),
        storage_class: Some("8".to_owned()),
        user: vec![("k".to_owned(), vec![0xff, 0]), ("l".to_owned(), vec![])],
    };
    golden(
        &ColdRow(headers),
        "01 22 010131 020132 030133 040134 050135 060136 070137 080138 09016b02ff00 09016c00",
    );
    // Out of order, twice, unknown.
    for bad in ["020132010131", "010131010131", "0a0131", "000131"] {
        let bytes: Vec<u8> = (0..bad.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&bad[i..i + 2], 16).unwrap())
            .collect();
        assert_eq!(headers::decode(&bytes), None, "{bad}");
    }
}

#[test]
fn manifests_and_owners() {
    let manifest = Manifest {
        parts: vec![
            BlobPart { size: (1 << 20) + 5, checksum: None, extents: vec![bulk(), inline()] },
            BlobPart { size: 0, checksum: Some(crc()), extents: vec![] },
        ],
    };
    golden(
        &ManifestRow::Here(manifest),
        "01 00 35 02 858040 00 02 0300000001000000 8020 808040 808010 \
         0200000001000000 ac02 05 00 8877665544332211 00 030102030405060708 00",
    );
    golden(
        &ManifestRow::InLog(vec![inline()]),
        "01 01 01 0200000001000000 ac02 05 00 8877665544332211",
    );
    golden(&OwnerRow { object_id: ObjectId(7) }, "01 07000000000000000000000000000000");
}

#[test]
fn a_manifest_whose_sizes_do_not_add_up_is_refused() {
    let wrong =
        Manifest { parts: vec![BlobPart { size: 6, checksum: None, extents: vec![inline()] }] };
    assert_eq!(Manifest::decode_parts(&wrong.encode_parts()), None);
    // A count that no memory has.
    assert_eq!(Manifest::decode_parts(&[0xff, 0xff, 0xff, 0xff, 0x7f]), None);
}

#[test]
fn buckets() {
    golden(
        &BucketRow {
            id: BucketId(258),
            created: Timestamp(1),
            ack: Some(Ack::Quorum),
            owner: "me".to_owned(),
            account: "111122223333".to_owned(),
            region: "eu".to_owned(),
            versioning: Versioning::Never,
        },
        "02 0201000000000000 01 02 026d65 026575 0c313131313232323233333333",
    );
}

#[test]
fn buckets_with_versioning() {
    for (versioning, code) in [(Versioning::Enabled, 1), (Versioning::Suspended, 2)] {
        let row = BucketRow {
            id: BucketId(258),
            created: Timestamp(1),
            ack: None,
            owner: "me".to_owned(),
            account: "111122223333".to_owned(),
            region: "eu".to_owned(),
            versioning,
        };
        let bytes = "03 0201000000000000 01 00 026d65 026575 0c313131313232323233333333";
        golden(&row, &format!("{bytes} {code:02x}"));
        let mut never = row.encode();
        *never.last_mut().unwrap() = 0;
        assert_eq!(BucketRow::decode(&never), None, "that is version 2");
    }
}

#[test]
fn buckets_of_version_1_are_read() {
    let value = [1, 2, 1, 0, 0, 0, 0, 0, 0, 1, 2, 2, b'm', b'e', 2, b'e', b'u'];
    let row = BucketRow::decode(&value).unwrap();
    assert_eq!((row.owner.as_str(), row.account.as_str(), row.region.as_str()), ("me", "", "eu"));
    for cut in 0..value.len() {
        assert_eq!(BucketRow::decode(&value[..cut]), None);
    }
}

#[test]
fn settings_of_buckets() {
    golden(&PolicyRow { json: "{}".to_owned(), changed: Timestamp(1) }, "01 027b7d 01");
    golden(
        &AccessBlockRow(PublicAccessBlock {
            block_public_acls: true,
            ignore_public_acls: false,
            block_public_policy: true,
            restrict_public_buckets: true,
        }),
        "01 0d",
    );
    assert_eq!(AccessBlockRow::decode(&[1, 0x10]), None, "no such flag");
}

#[test]
fn uploads_and_parts() {
    golden(
        &UploadRow {
            initiated: Timestamp(1),
            initiator: "me".to_owned(),
            checksum_algorithm: ChecksumAlgorithm::Sha256,
            checksum_type: ChecksumType::Composite,
            checksum_named: true,
            headers: Headers { content_type: Some("a".to_owned()), ..Headers::default() },
        },
        "01 01 026d65 05 80 01 03010161",
    );
    golden(
        &PartRow {
            size: 5,
            md5: [0x5d; 16],
            modified: Timestamp(1),
            checksum: crc(),
            asked_checksum: Some(Checksum::full(ChecksumAlgorithm::Crc32c, vec![1, 2, 3, 4])),
            extents: vec![inline()],
        },
        "01 05 5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d 01 030102030405060708 0201020304 \
         01 0200000001000000 ac02 05 00 8877665544332211",
    );
}

#[test]
fn keys_of_rows() {
    let bucket = BucketId(258);
    let upload = UploadId([0x0f; 16]);
    let blob = ObjectId(7);
    for (key, expected, parsed) in [
        (keys::bucket("abc"), "42 616263 0001", Parsed::Bucket("abc".to_owned())),
        (
            keys::head(bucket, "a\0b"),
            "4f 0000000000000102 6100ff62 0001",
            Parsed::Head(bucket, "a\0b".to_owned()),
        ),
        (
            keys::cold(bucket, "a", 0),
            "43 0000000000000102 61 0001",
            Parsed::Cold(bucket, "a".to_owned(), 0),
        ),
        (
            keys::cold(bucket, "a", 258),
            "43 0000000000000102 61 0001 fffffffffffffefd",
            Parsed::Cold(bucket, "a".to_owned(), 258),
        ),
        (
            keys::version(bucket, "a", 258),
            "56 0000000000000102 61 0001 fffffffffffffefd",
            Parsed::Version(bucket, "a".to_owned(), 258),
        ),
        (
            keys::null(bucket, "a"),
            "4e 0000000000000102 61 0001",
            Parsed::Null(bucket, "a".to_owned()),
        ),
        (keys::manifest(blob), "4d 00000000000000000000000000000007", Parsed::Manifest(blob)),
        (
            keys::owner(blob, bucket, "a", 0),
            "52 00000000000000000000000000000007 0000000000000102 61 0001",
            Parsed::Owner(blob, bucket, "a".to_owned(), 0),
        ),
        (
            keys::owner(blob, bucket, "a", 258),
            "52 00000000000000000000000000000007 0000000000000102 61 0001 fffffffffffffefd",
            Parsed::Owner(blob, bucket, "a".to_owned(), 258),
        ),
        (
            keys::upload(bucket, "a", upload),
            "55 0000000000000102 61 0001 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
            Parsed::Upload(bucket, "a".to_owned(), upload),
        ),
        (
            keys::part(upload, 300),
            "50 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f 012c",
            Parsed::Part(upload, 300),
        ),
        (keys::totals(), "23 54", Parsed::Totals),
        (
            keys::bucket_policy(bucket),
            "53 0000000000000102 50",
            Parsed::BucketSetting(bucket, b'P'),
        ),
        (keys::access_block(bucket), "53 0000000000000102 41", Parsed::BucketSetting(bucket, b'A')),
        (keys::bucket_counters(bucket), "23 42 0000000000000102", Parsed::BucketCounters(bucket)),
        (
            keys::segment_counter(SegmentId(9)),
            "23 47 0000000000000009",
            Parsed::SegmentCounter(SegmentId(9)),
        ),
    ] {
        assert_eq!(hex(&key), expected.replace(' ', ""), "{parsed:?}");
        assert_eq!(keys::parse(&key), Some(parsed));
        for cut in 0..key.len() {
            let mut of_cut = keys::parse(&key[..cut]);
            // Without its end it is a row of the first version.
            if let Some(Parsed::Cold(.., 0) | Parsed::Owner(.., 0)) = of_cut {
                assert_eq!(cut, key.len() - 8);
                of_cut = None;
            }
            assert_eq!(of_cut, None, "a key cut at {cut}");
        }
        assert_eq!(keys::parse(&[&key[..], &[0]].concat()), None);
    }
    for key in [&b"Ik"[..], b"K", b"A?"] {
        assert_eq!(keys::parse(key), Some(Parsed::Identity), "whatever it is");
    }
    assert_eq!(keys::parse(b""), None);
    assert_eq!(keys::parse(b"Zebra"), None);
}

#[test]
fn upload_ids_read_back_and_nothing_else_does() {
    let id = UploadId::parse("00000000000010000123456789abcdef").unwrap();
    assert_eq!(id.to_string(), "00000000000010000123456789abcdef");
    for bad in ["", "x", "00000000000010000123456789ABCDEF", "0000000000001000 0123456789abcde"] {
        assert!(UploadId::parse(bad).is_err(), "{bad}");
    }
}
