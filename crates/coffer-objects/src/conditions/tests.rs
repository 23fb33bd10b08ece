use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * 1000)
}

fn tags(tags: &[&str]) -> Option<EtagList> {
    Some(EtagList::Tags(tags.iter().map(|tag| (*tag).to_owned()).collect()))
}

#[test]
fn lists_of_tags_are_read() {
    assert_eq!(EtagList::parse(" * "), EtagList::Any);
    assert_eq!(Some(EtagList::parse("\"a\"")), tags(&["a"]));
    assert_eq!(Some(EtagList::parse("a")), tags(&["a"]));
    assert_eq!(Some(EtagList::parse("\"a\", W/\"b\" ,, c-2")), tags(&["a", "W/b", "c-2"]));
    assert_eq!(Some(EtagList::parse("\"")), tags(&["\""]));
    assert_eq!(Some(EtagList::parse("")), tags(&[]));
}

/// The table of S3's documentation of GetObject, and the precedence of RFC 9110, 13.2.2.
#[test]
fn conditions_of_reads_have_their_precedence() {
    let (etag, modified) = ("e", Timestamp(100_500));
    let decide = |conditions: ReadConditions| conditions.evaluate(etag, modified);
    let none = ReadConditions::default;
    assert_eq!(decide(none()), ReadDecision::Proceed);
    assert_eq!(
        decide(ReadConditions { if_match: tags(&["x", "e"]), ..none() }),
        ReadDecision::Proceed
    );
    assert_eq!(
        decide(ReadConditions { if_match: tags(&["W/e"]), ..none() }),
        ReadDecision::Failed("If-Match")
    );
    assert_eq!(
        decide(ReadConditions { if_unmodified_since: Some(at(99)), ..none() }),
        ReadDecision::Failed("If-Unmodified-Since")
    );
    assert_eq!(
        decide(ReadConditions { if_unmodified_since: Some(at(100)), ..none() }),
        ReadDecision::Proceed
    );
    // If-Match true and If-Unmodified-Since false: 200.
    assert_eq!(
        decide(ReadConditions {
            if_match: tags(&["e"]),
            if_unmodified_since: Some(at(1)),
            ..none()
        }),
        ReadDecision::Proceed
    );
    assert_eq!(
        decide(ReadConditions { if_none_match: tags(&["W/e"]), ..none() }),
        ReadDecision::NotModified
    );
    assert_eq!(
        decide(ReadConditions { if_none_match: Some(EtagList::Any), ..none() }),
        ReadDecision::NotModified
    );
    assert_eq!(
        decide(ReadConditions { if_modified_since: Some(at(100)), ..none() }),
        ReadDecision::NotModified
    );
    assert_eq!(
        decide(ReadConditions { if_modified_since: Some(at(99)), ..none() }),
        ReadDecision::Proceed
    );
    // If-None-Match false (the tag matches) and If-Modified-Since true: 304.
    assert_eq!(
        decide(ReadConditions {
            if_none_match: tags(&["e"]),
            if_modified_since: Some(at(1)),
            ..none()
        }),
        ReadDecision::NotModified
    );
    // The tag differs, the date has not passed: the date is not looked at.
    assert_eq!(
        decide(ReadConditions {
            if_none_match: tags(&["x"]),
            if_modified_since: Some(at(200)),
            ..none()
        }),
        ReadDecision::Proceed
    );
    // A failed If-Match is decided before If-None-Match.
    assert_eq!(
        decide(ReadConditions { if_match: tags(&["x"]), if_none_match: tags(&["e"]), ..none() }),
        ReadDecision::Failed("If-Match")
    );
}

#[test]
fn the_source_of_a_copy_is_never_not_modified() {
    let conditions = ReadConditions { if_none_match: tags(&["e"]), ..ReadConditions::default() };
    assert_eq!(
        conditions.evaluate_source("e", at(1)),
        Err(Error::PreconditionFailed { condition: "If-None-Match" })
    );
    let conditions = ReadConditions { if_modified_since: Some(at(5)), ..ReadConditions::default() };
    assert_eq!(
        conditions.evaluate_source("e", at(1)),
        Err(Error::PreconditionFailed { condition: "If-Modified-Since" })
    );
}

#[test]
fn conditions_of_writes_are_exact() {
    let any = WriteCondition { if_none_match_any: true, if_match: None };
    assert_eq!(any.evaluate(None), Ok(()));
    assert_eq!(
        any.evaluate(Some("e")),
        Err(Error::PreconditionFailed { condition: "If-None-Match" })
    );
    let tag = WriteCondition { if_none_match_any: false, if_match: Some("e".to_owned()) };
    assert_eq!(tag.evaluate(Some("e")), Ok(()));
    assert_eq!(tag.evaluate(None), Err(Error::NoSuchKey));
    assert_eq!(tag.evaluate(Some("f")), Err(Error::PreconditionFailed { condition: "If-Match" }));
    assert_eq!(WriteCondition::default().evaluate(Some("f")), Ok(()));
}
