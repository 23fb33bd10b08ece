use super::*;
use crate::ops::tests::with;
use crate::xml;

fn asked(text: &str) -> Result<Asked, S3Error> {
    Asked::read(&xml::parse(text.as_bytes(), 1 << 20)?)
}

#[test]
fn documents() {
    let found = asked(
        "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>\
         <Object><Key>a&amp;b</Key></Object><Object><Key> c </Key><VersionId>null</VersionId>\
         </Object></Delete>",
    )
    .unwrap();
    assert!(found.quiet);
    assert_eq!(found.keys[0].name, "a&b");
    assert_eq!(found.keys[1].name, " c ");
    assert_eq!((found.keys[0].version, &found.keys[0].version_text), (None, &None));
    assert_eq!(found.keys[1].version, Some(VersionId::Null));
}

#[test]
fn what_is_refused_concerns_its_key_alone() {
    let found = asked(
        "<Delete><Object><Key>a</Key><VersionId>x</VersionId></Object>\
         <Object><Key>b</Key><ETag>1</ETag></Object><Object><Key>c</Key></Object></Delete>",
    )
    .unwrap();
    let refused = |at: usize| found.keys[at].refusal.as_ref().map(|e| e.code);
    assert_eq!(refused(0), Some(Code::NoSuchVersion));
    assert_eq!(refused(1), Some(Code::NotImplemented));
    assert_eq!(refused(2), None);
}

#[test]
fn malformed_documents() {
    let keys = |n: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(n));
    assert_eq!(asked(&keys(1000)).unwrap().keys.len(), 1000);
    for text in [
        keys(0),
        keys(1001),
        "<Other><Object><Key>a</Key></Object></Other>".to_owned(),
        "<Delete><Object/></Delete>".to_owned(),
        "<Delete><Object><Key/></Object></Delete>".to_owned(),
        "<Delete><Quiet>perhaps</Quiet><Object><Key>a</Key></Object></Delete>".to_owned(),
        "<Delete><Object><Key>a</Key></Object>".to_owned(),
        "nonsense".to_owned(),
    ] {
        assert_eq!(asked(&text).unwrap_err().code, Code::MalformedXML, "{text:.60}");
    }
}

#[test]
fn answers() {
    let asked = asked(
        "<Delete><Object><Key>a</Key></Object><Object><Key>&lt;</Key>\
         <VersionId>null</VersionId></Object><Object><Key>m</Key></Object>\
         <Object><Key>v</Key><VersionId>null</VersionId></Object></Delete>",
    )
    .unwrap();
    let id = VersionId::Given { sequence: 1, check: 2 };
    let marker = |id| Ok(Deleted { version_id: Some(id), delete_marker: true });
    let refused = Err(S3Error::new(Code::AccessDenied));
    let outcomes = [Ok(Deleted::default()), refused, marker(id), marker(VersionId::Null)];
    let text = result(&asked, &outcomes);
    assert!(text.contains("<Deleted><Key>a</Key></Deleted>"), "{text}");
    let created = "<Deleted><Key>m</Key><DeleteMarker>true</DeleteMarker>\
                   <DeleteMarkerVersionId>00000000000000010000000000000002\
                   </DeleteMarkerVersionId></Deleted>";
    assert!(text.contains(created), "{text}");
    let removed = "<Deleted><Key>v</Key><VersionId>null</VersionId>\
                   <DeleteMarker>true</DeleteMarker>\
                   <DeleteMarkerVersionId>null</DeleteMarkerVersionId></Deleted>";
    assert!(text.contains(removed), "{text}");
    let error = "<Error><Key>&lt;</Key><Code>AccessDenied</Code><Message>Access Denied</Message>\
                 <VersionId>null</VersionId></Error>";
    assert!(text.contains(error), "{text}");
    let quiet = result(&Asked { quiet: true, ..asked }, &outcomes);
    assert!(!quiet.contains("<Deleted>") && quiet.contains(error), "{quiet}");
}

#[test]
fn conditions_in_headers_are_refused_by_name() {
    for name in ["if-match", "if-none-match"] {
        let error = refuse_conditions(&with(&[(name, "x")])).unwrap_err();
        assert_eq!(error.code, Code::NotImplemented);
        assert!(error.message.contains(name), "{}", error.message);
    }
    refuse_conditions(&with(&[])).unwrap();
}
