use super::*;

#[test]
fn names_and_paths_have_the_form_that_aws_gives_them() {
    for good in ["a", "A.b+c=d,e@f-g_h", &"x".repeat(64)] {
        check_name(Kind::User, good).unwrap();
    }
    for bad in ["", "a b", "a/b", "é", &"x".repeat(65), "root", "Root", "a\n"] {
        assert!(check_name(Kind::User, bad).is_err(), "{bad:?}");
    }
    check_name(Kind::Group, &"x".repeat(128)).unwrap();
    for good in ["/", "/a/", "/a/b/", "/!~/"] {
        check_path(good).unwrap();
    }
    for bad in ["", "a", "/a", "a/", "//x", "/é/", "/ /", &format!("/{}/", "x".repeat(511))] {
        assert!(check_path(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn tags_are_few_short_and_different() {
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    check_tags(&[tag("Team", "söder 1"), tag("b", "")]).unwrap();
    assert!(matches!(check_tags(&[tag("a", "1"), tag("A", "2")]), Err(Error::InvalidInput(_))));
    assert!(matches!(check_tags(&[tag("aws:x", "1")]), Err(Error::InvalidInput(_))));
    assert!(matches!(check_tags(&[tag("", "1")]), Err(Error::Validation(_))));
    assert!(matches!(check_tags(&[tag("a", &"x".repeat(257))]), Err(Error::Validation(_))));
    assert!(matches!(check_tags(&[tag("a*", "")]), Err(Error::Validation(_))));
    let many: Vec<_> = (0..=TAGS_MAX).map(|i| tag(&i.to_string(), "")).collect();
    check_tags(&many[1..]).unwrap();
    assert!(matches!(check_tags(&many), Err(Error::LimitExceeded(_))));
    let mut merged = vec![tag("a", "1"), tag("b", "2")];
    merge_tags(&mut merged, &[tag("B", "3"), tag("c", "4")]);
    assert_eq!(merged, [tag("a", "1"), tag("B", "3"), tag("c", "4")]);
}

#[test]
fn a_provider_is_an_https_url() {
    assert_eq!(provider_name("https://a.example:8443/x/y").unwrap(), "a.example:8443/x/y");
    assert_eq!(provider_name("https://a.example/").unwrap(), "a.example");
    let long = format!("https://{}", "x".repeat(300));
    for bad in ["", "a.example", "http://a", "https://", "https:///x", "https://a?b", &long] {
        assert!(provider_name(bad).is_err(), "{bad}");
    }
    check_thumbprints(&["0".repeat(40)]).unwrap();
    assert!(check_thumbprints(&["0".repeat(39)]).is_err());
    assert!(check_thumbprints(&["g".repeat(40)]).is_err());
}

#[test]
fn white_space_of_documents_does_not_count() {
    assert_eq!(document_chars(" {\n\t\"a\": 1 }"), 7);
}
