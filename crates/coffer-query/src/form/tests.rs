use super::*;

fn read(form: &str) -> Result<Parameters, QueryError> {
    Parameters::read(form.as_bytes(), &Query::default())
}

#[test]
fn texts_numbers_and_flags_are_read() {
    let p = read("Action=A&UserName=a+b%2B&MaxItems=10&On=true&Empty=\n").unwrap();
    assert_eq!(p.need("UserName").unwrap(), "a b+");
    assert_eq!(p.number("MaxItems", 1, 1000).unwrap(), Some(10));
    assert_eq!(p.number("None", 1, 1000).unwrap(), None);
    assert_eq!(p.flag("On").unwrap(), Some(true));
    assert_eq!(p.get("Empty"), Some(""));
    for name in ["Empty", "None"] {
        let error = p.need(name).unwrap_err();
        assert_eq!(error.code, Code::ValidationError);
        assert!(error.message.contains(&format!("'{}'", name.to_lowercase())), "{error}");
    }
    for form in ["N=0", "N=1001", "N=-1", "N=+1", "N=", "N=1e3", "N=99999999999999999999"] {
        assert!(read(form).unwrap().number("N", 1, 1000).is_err(), "{form}");
    }
    assert!(read("On=TRUE").unwrap().flag("On").is_err());
}

#[test]
fn lists_and_structures_are_read_in_order() {
    let form: String = (1..=11).rev().map(|i| format!("L.member.{i}=v{i}&")).collect();
    let list = read(&form).unwrap().list("L").unwrap().unwrap();
    assert_eq!(list.len(), 11);
    assert_eq!((list[1].as_str(), list[10].as_str()), ("v2", "v11"));
    let p = read(
        "Tags.member.1.Key=a&Tags.member.1.Value=&Tags.member.2.Key=b&Tags.member.2.Value=c&TagsX=1",
    );
    let p = p.unwrap();
    let expected = [("a".to_owned(), String::new()), ("b".to_owned(), "c".to_owned())];
    assert_eq!(p.tags("Tags").unwrap(), expected);
    assert_eq!(p.tags("Others").unwrap(), []);
    assert_eq!(read("L=").unwrap().list("L").unwrap(), Some(Vec::new()));
    assert_eq!(read("").unwrap().list("L").unwrap(), None);
}

#[test]
fn crooked_lists_are_refused() {
    for form in [
        "L.member.2=a",
        "L.member.0=a",
        "L.member.1=a&L.member.3=b",
        "L.member.1=a&L.member.01=b",
        "L.member.x=a",
        "L.member.=a",
        "L.member=a",
        "L.1=a",
        "L.member.1001=a",
        "L.member.99999999999999999999999=a",
        "L=a",
        "L=a&L.member.1=b",
        "L.member.1.Key=a",
        "L.member.1=a&L.member.1.Key=b",
        "L.member.-1=a",
    ] {
        let p = read(form).unwrap();
        assert_eq!(p.list("L").unwrap_err().code, Code::ValidationError, "{form}");
    }
    for form in
        ["Tags.member.1.Key=a", "Tags.member.1.Value=a", "Tags.member.1.Key=&Tags.member.1.Value=b"]
    {
        assert!(read(form).unwrap().tags("Tags").is_err(), "{form}");
    }
}

#[test]
fn hostile_forms_are_refused_and_never_panic() {
    for form in ["a=1&a=2", "a=%", "a=%zz", "a=%ff", "%f=1"] {
        assert_eq!(read(form).unwrap_err().code, Code::MalformedQueryString, "{form}");
    }
    let not_text = Parameters::read(b"a=\xff", &Query::default()).unwrap_err();
    assert_eq!(not_text.code, Code::MalformedQueryString);
    let long = vec![b'a'; FORM_BYTES_MAX + 1];
    let error = Parameters::read(&long, &Query::default()).unwrap_err();
    assert_eq!(error.code, Code::RequestEntityTooLarge);
    let many: String = (0..=PARAMETERS_MAX).map(|i| format!("p{i}=&")).collect();
    assert_eq!(read(&many).unwrap_err().code, Code::MalformedQueryString);
    let good =
        "Action=CreateUser&Version=2010-05-08&Tags.member.1.Key=%C3%BC&Tags.member.1.Value=b";
    for cut in 0..good.len() {
        if let Ok(p) = read(&good[..cut]) {
            let _ = (p.tags("Tags"), p.list("Tags"), p.number("Version", 0, 1), p.flag("Action"));
        }
    }
    let query = Query::parse("Action=A&X-Amz-Signature=1").unwrap();
    let both = Parameters::read(b"Action=B", &query).unwrap_err();
    assert_eq!(both.code, Code::MalformedQueryString, "the form and the query must not differ");
    let from_query = Parameters::read(b"", &query).unwrap();
    assert_eq!(from_query.get("Action"), Some("A"));
    assert_eq!(from_query.get("X-Amz-Signature"), None);
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let p = read("A=1&B.member.1.Key=2&C=").unwrap();
    for name in ["A", "B"] {
        let error = p.refuse(&[name]).unwrap_err();
        assert_eq!(error.code, Code::NotImplemented);
        assert!(error.message.contains(name));
    }
    p.refuse(&["C", "D", "Bx"]).unwrap();
}
