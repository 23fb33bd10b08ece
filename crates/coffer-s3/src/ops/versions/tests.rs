use coffer_base::{ObjectId, Timestamp};
use coffer_objects::{Headers, ObjectInfo};
use http::HeaderMap;

use super::super::tests::{HOSTILE, head};
use super::*;
use crate::error::Code;

const ID: &str = "00000000000010000123456789abcdef";

fn at(query: &str) -> CallHead {
    head("GET", &format!("/bucket?versions&{query}"), HeaderMap::new())
}

#[test]
fn markers_come_together_or_the_key_alone() {
    let both = at(&format!("key-marker=k&version-id-marker={ID}"));
    let query = Asked::read(&both).unwrap().query();
    assert_eq!(query.key_after.as_deref(), Some("k"));
    assert_eq!(query.version_after.unwrap().to_string(), ID);
    let alone = at("key-marker=k&version-id-marker=");
    let query = Asked::read(&alone).unwrap().query();
    assert_eq!((query.key_after.as_deref(), query.version_after), (Some("k"), None));
    let refused = |query: &str| Asked::read(&at(query)).err().map(|error| error.code);
    assert_eq!(refused("version-id-marker=null"), Some(Code::InvalidArgument));
    assert_eq!(refused("key-marker=&version-id-marker=null"), Some(Code::InvalidArgument));
    for text in HOSTILE {
        let encoded =
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let refused = refused(&format!("key-marker=k&version-id-marker={encoded}"));
        assert_eq!(refused.is_none(), text.is_empty() || *text == "null", "{text}");
    }
}

#[test]
fn a_page_is_written_as_s3_does() {
    let call = at("prefix=a%20&delimiter=/&encoding-type=url&max-keys=3&key-marker=a");
    let asked = Asked::read(&call).unwrap();
    let id = VersionId::parse(ID).unwrap();
    let info = ObjectInfo {
        key: "a k".to_owned(),
        version_id: Some(id),
        object_id: ObjectId(1),
        size: 3,
        etag: "e".to_owned(),
        modified: Timestamp(0),
        headers: Headers::default(),
        checksum: None,
        parts: None,
    };
    let page = VersionPage {
        entries: vec![
            VersionEntry::Object { info, is_latest: true },
            VersionEntry::Marker {
                key: "a l".to_owned(),
                version_id: VersionId::Null,
                modified: Timestamp(0),
                is_latest: false,
            },
            VersionEntry::Prefix("a m/".to_owned()),
        ],
        truncated: true,
        next_key: Some("a m/".to_owned()),
        next_version: None,
    };
    let owner = "<Owner><ID>o</ID><DisplayName>coffer</DisplayName></Owner>";
    let expected = format!(
        "<Name>bucket</Name><Prefix>a%20</Prefix><KeyMarker>a</KeyMarker>\
         <VersionIdMarker></VersionIdMarker><NextKeyMarker>a%20m/</NextKeyMarker>\
         <MaxKeys>3</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType>\
         <IsTruncated>true</IsTruncated><Version><Key>a%20k</Key><VersionId>{ID}</VersionId>\
         <IsLatest>true</IsLatest><LastModified>1970-01-01T00:00:00.000Z</LastModified>\
         <ETag>&quot;e&quot;</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass>{owner}\
         </Version><DeleteMarker><Key>a%20l</Key><VersionId>null</VersionId>\
         <IsLatest>false</IsLatest><LastModified>1970-01-01T00:00:00.000Z</LastModified>{owner}\
         </DeleteMarker><CommonPrefixes><Prefix>a%20m/</Prefix></CommonPrefixes>\
         </ListVersionsResult>"
    );
    let document = asked.document("bucket", "o", &page);
    assert!(document.ends_with(&expected), "{document}");
}
