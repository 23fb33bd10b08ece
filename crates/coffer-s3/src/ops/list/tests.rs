use coffer_objects::ChecksumAlgorithm;

use super::*;

#[test]
fn markers() {
    let key = |name: &str| Some(ListAfter::Key(name.to_owned()));
    let prefix = |name: &str| Some(ListAfter::Prefix(name.to_owned()));
    assert_eq!(after_marker("", "", None), None);
    assert_eq!(after_marker("a", "", None), key("a"));
    assert_eq!(after_marker("a/", "", None), key("a/"));
    assert_eq!(after_marker("a/", "", Some("/")), prefix("a/"));
    assert_eq!(after_marker("a/b", "", Some("/")), key("a/b"));
    assert_eq!(after_marker("a/b/", "", Some("/")), key("a/b/"));
    assert_eq!(after_marker("a/b/", "a/", Some("/")), prefix("a/b/"));
    assert_eq!(after_marker("a/", "a/", Some("/")), key("a/"));
    assert_eq!(after_marker("z/", "a/", Some("/")), key("z/"));
    assert_eq!(after_marker("a--", "", Some("--")), prefix("a--"));
}

#[test]
fn entries() {
    let mut lines = Lines {
        encoding: Encoding::Url,
        owner: Some("0123abcd".to_owned()),
        contents: Writer::fragment(),
        prefixes: Writer::fragment(),
    };
    lines.prefix("c d/");
    let checksum = Checksum::full(ChecksumAlgorithm::Crc32, vec![0; 4]);
    lines.write_object("a b", Timestamp(10_500), "abc", Some(&checksum), 3);
    let asked = Asked { prefix: "", delimiter: Some("/"), max: 2, encoding: Encoding::Url };
    let mut xml = Writer::new();
    asked.write_question(&mut xml, true);
    lines.write(&mut xml);
    let text = xml.finish();
    let (_, text) = text.split_once('\n').unwrap();
    assert_eq!(
        text,
        "<MaxKeys>2</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType>\
         <IsTruncated>true</IsTruncated><Contents><Key>a%20b</Key>\
         <LastModified>1970-01-01T00:00:10.500Z</LastModified><ETag>&quot;abc&quot;</ETag>\
         <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>\
         <Size>3</Size><Owner><ID>0123abcd</ID><DisplayName>coffer</DisplayName></Owner>\
         <StorageClass>STANDARD</StorageClass></Contents>\
         <CommonPrefixes><Prefix>c%20d/</Prefix></CommonPrefixes>"
    );
}
