use super::*;

#[test]
fn the_examples_of_the_specifications() {
    let at = Timestamp(784_111_777_000);
    assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
    for form in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        assert_eq!(parse_http_date(form), Some(at), "{form}");
    }
    let at = Timestamp(1_369_353_600_000);
    assert_eq!(amz_date(at), "20130524T000000Z");
    assert_eq!(parse_amz_date("20130524T000000Z"), Some(at));
    assert_eq!(iso8601(Timestamp(at.0 + 7)), "2013-05-24T00:00:00.007Z");
    assert_eq!(parse_iso8601("2013-05-24T00:00:00.007999Z"), Some(Timestamp(at.0 + 7)));
    assert_eq!(parse_iso8601("2013-05-24T00:00:00Z"), Some(at));
}

#[test]
fn every_day_of_four_centuries_comes_back() {
    for day in 0..146_097 {
        let at = Timestamp((day * DAY_SECONDS + 86_399) * 1000);
        assert_eq!(parse_http_date(&http_date(at)), Some(at));
        assert_eq!(parse_iso8601(&iso8601(at)), Some(at));
        assert_eq!(parse_amz_date(&amz_date(at)), Some(at));
    }
    assert_eq!(http_date(Timestamp(951_782_400_000)), "Tue, 29 Feb 2000 00:00:00 GMT");
}

#[test]
fn what_is_no_date_is_none() {
    for text in [
        "",
        "Z",
        "20130524T000000",
        "20130229T000000Z",
        "20130524T240000Z",
        "99999999T999999Z",
        "2013-05-24T00:00:00.Z",
        "2013-5-24T00:00:00Z",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1900 08:49:37 GMT",
        "Sun Nov 006 08:49:37 1994",
        "é0130524T000000Z",
        "20130524T00000éZ",
        "::::",
    ] {
        assert_eq!(parse_http_date(text), None, "{text}");
        assert_eq!(parse_iso8601(text), None, "{text}");
        assert_eq!(parse_amz_date(text), None, "{text}");
    }
}
