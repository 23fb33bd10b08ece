use super::*;

#[test]
fn documents_are_written_closed_and_escaped() {
    let mut xml = Writer::with_root("Result");
    xml.text("Key", "a<b>&\"'\u{1}\r\n\u{fffe}ü").open("Inner").plain("Size", 7).close();
    xml.open("Left").empty("Flag");
    assert_eq!(
        xml.finish(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Result xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Key>a&lt;b&gt;&amp;&quot;&apos;&#x1;&#xd;&#xa;&#xfffe;ü</Key>\
         <Inner><Size>7</Size></Inner><Left><Flag/></Left></Result>"
    );
}

#[test]
fn a_document_is_read_into_a_tree() {
    let text = "\u{feff}<?xml version=\"1.0\"?><!-- c -->\n<s3:Delete xmlns:s3='x' a=\"b\">\
                <Object>\n  <Key> a&amp;b&#x20;&#9;<![CDATA[<c>]]> </Key></Object>\
                <Object><Key/></Object><Quiet>true</Quiet></s3:Delete>\n";
    let root = parse(text.as_bytes(), 1000).unwrap();
    assert_eq!(root.name, "Delete");
    let keys: Vec<_> = root.children_named("Object").map(|o| o.child_text("Key")).collect();
    assert_eq!(keys, [Some(" a&b \t<c> "), Some("")]);
    assert_eq!(root.child_text("Quiet"), Some("true"));
    assert_eq!(root.child("Object").unwrap().text, "");
    assert_eq!(root.child_text("None"), None);
}

#[test]
fn what_is_written_is_read_back() {
    let value: String = (1..0x300).filter_map(char::from_u32).collect();
    let mut xml = Writer::with_root("R");
    xml.text("Key", &value);
    let root = parse(xml.finish().as_bytes(), 1 << 20).unwrap();
    assert_eq!(root.child_text("Key"), Some(value.as_str()));
}

#[test]
fn everything_else_is_malformed() {
    let deep = "<a>".repeat(DEPTH_MAX + 1) + &"</a>".repeat(DEPTH_MAX + 1);
    let wide = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX + 1));
    for text in [
        "",
        " ",
        "text",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "<a>&nope;</a>",
        "<a>& </a>",
        "<a>&#x110000;</a>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
        "<a",
        &deep,
        &wide,
    ] {
        let error = parse(text.as_bytes(), 1 << 20).unwrap_err();
        assert_eq!(error.code, Code::MalformedXML, "{:.40}", text);
    }
    assert!(parse(b"<a>\xff</a>", 1000).is_err());
    assert!(parse(b"<a></a>", 6).is_err());
}

#[test]
fn no_cut_and_no_flip_panics() {
    let text = b"<?xml version='1.0'?><a b='c'><k>&amp;&#x41;<![CDATA[x]]></k><!--c--><d/></a>";
    for cut in 0..text.len() {
        assert!(parse(&text[..cut], 1000).is_err(), "{cut}");
        for byte in [0, b'<', b'>', b'&', b';', b'\'', b'!', b'/', 0xff] {
            let mut flipped = text.to_vec();
            flipped[cut] = byte;
            let _ = parse(&flipped, 1000);
        }
    }
}
