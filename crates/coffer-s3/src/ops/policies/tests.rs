use super::*;
use crate::xml;

fn read(inside: &str) -> Result<PublicAccessBlock, Code> {
    let text = format!("<PublicAccessBlockConfiguration>{inside}</PublicAccessBlockConfiguration>");
    let document = xml::parse(text.as_bytes(), BLOCK_BYTES_MAX).map_err(|e| e.code)?;
    read_block(&document).map_err(|e| e.code)
}

#[test]
fn what_a_block_does_not_say_is_off() {
    assert_eq!(read(""), Ok(PublicAccessBlock::default()));
    let both = "<BlockPublicPolicy>TRUE</BlockPublicPolicy>\
                <RestrictPublicBuckets> true </RestrictPublicBuckets>\
                <BlockPublicAcls>false</BlockPublicAcls>";
    let expected = PublicAccessBlock {
        block_public_policy: true,
        restrict_public_buckets: true,
        ..PublicAccessBlock::default()
    };
    assert_eq!(read(both), Ok(expected));
    for wrong in [
        "<BlockPublicPolicy>yes</BlockPublicPolicy>",
        "<BlockPublicPolicy/>",
        "<BlockEverything>true</BlockEverything>",
    ] {
        assert_eq!(read(wrong), Err(Code::MalformedXML), "{wrong}");
    }
}
