//! The XML that is answered with, escaped.

use std::fmt::{Display, Write as _};

use coffer_base::Timestamp;
use coffer_sigv4::time;
use percent_encoding::utf8_percent_encode;

/// Builds a document. Tags are closed in the order they were opened.
#[derive(Debug, Default)]
pub(crate) struct Document {
    out: String,
    open: Vec<&'static str>,
}

impl Document {
    /// Nothing yet: a piece that is put into an envelope.
    pub(crate) fn new() -> Document {
        Document::default()
    }

    /// How long it is so far.
    pub(crate) fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Opens an element.
    pub(crate) fn open(&mut self, tag: &'static str) -> &mut Self {
        self.push(format_args!("<{tag}>"));
        self.open.push(tag);
        self
    }

    /// Closes the innermost open element.
    pub(crate) fn close(&mut self) -> &mut Self {
        let tag = self.open.pop().expect("more elements are closed than were opened");
        self.push(format_args!("</{tag}>"));
        self
    }

    /// An element with what `fill` puts into it.
    pub(crate) fn within(&mut self, tag: &'static str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(tag);
        fill(self);
        self.close()
    }

    /// An element with text, escaped.
    pub(crate) fn text(&mut self, tag: &str, value: &str) -> &mut Self {
        self.push(format_args!("<{tag}>"));
        escape_into(&mut self.out, value);
        self.push(format_args!("</{tag}>"));
        self
    }

    /// An element with text, if there is any.
    pub(crate) fn optional(&mut self, tag: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(tag, value);
        }
        self
    }

    /// An element whose text needs no escaping: a number, a truth value.
    pub(crate) fn plain(&mut self, tag: &str, value: impl Display) -> &mut Self {
        self.push(format_args!("<{tag}>{value}</{tag}>"));
        self
    }

    /// An element with a moment, in seconds.
    pub(crate) fn moment(&mut self, tag: &str, at: Timestamp) -> &mut Self {
        self.text(tag, &seconds(at))
    }

    /// An element with a policy document, which AWS gives percent-encoded (RFC 3986).
    pub(crate) fn policy(&mut self, tag: &str, document: &str) -> &mut Self {
        let encoded = utf8_percent_encode(document, coffer_sigv4::canonical::QUERY);
        self.push(format_args!("<{tag}>{encoded}</{tag}>"));
        self
    }

    /// A list: each item is a `member`.
    pub(crate) fn members<T>(
        &mut self,
        tag: &'static str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.open(tag);
        for item in items {
            self.open("member");
            fill(self, item);
            self.close();
        }
        self.close()
    }

    /// A list of texts.
    pub(crate) fn texts<T: AsRef<str>>(
        &mut self,
        tag: &'static str,
        items: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        self.open(tag);
        for item in items {
            self.text("member", item.as_ref());
        }
        self.close()
    }

    /// An element with what was put together elsewhere.
    pub(crate) fn piece(&mut self, tag: &str, piece: Document) -> &mut Self {
        let piece = piece.finish();
        self.push(format_args!("<{tag}>{piece}</{tag}>"));
        self
    }

    /// Tags.
    pub(crate) fn tags(&mut self, tags: &[(String, String)]) -> &mut Self {
        self.members("Tags", tags, |xml, (key, value)| {
            xml.text("Key", key).text("Value", value);
        })
    }

    /// Closes what is open and gives the text.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("a String takes everything");
    }
}

/// `2009-10-12T17:50:30Z`: IAM and STS give no fractions.
pub(crate) fn seconds(at: Timestamp) -> String {
    let text = time::iso8601(at);
    let (whole, _) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}Z")
}

/// The document of a reply: `body` is the content of the result; `None`: the reply has none.
pub(crate) fn reply(operation: &str, namespace: &str, body: Option<&str>, request: &str) -> String {
    let result = match body {
        Some(body) => format!("<{operation}Result>{body}</{operation}Result>"),
        None => String::new(),
    };
    format!(
        "<{operation}Response xmlns=\"{namespace}\">{result}\
         <ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>\
         </{operation}Response>"
    )
}

/// Appends `text` with the markup characters as entities. What XML 1.0 has no place for becomes
/// the replacement character.
fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            '\r' => out.push_str("&#xD;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_escaped_and_closed() {
        let mut xml = Document::new();
        xml.open("A").text("B", "<&>\"\u{1}\r\n").plain("C", 1).optional("D", None);
        xml.texts("L", ["x", "y"]).policy("P", "{\"a\": \"é\"}");
        xml.tags(&[("k".to_owned(), "v".to_owned())]);
        assert_eq!(
            xml.finish(),
            "<A><B>&lt;&amp;&gt;&quot;\u{fffd}&#xD;\n</B><C>1</C><L><member>x</member>\
             <member>y</member></L><P>%7B%22a%22%3A%20%22%C3%A9%22%7D</P>\
             <Tags><member><Key>k</Key><Value>v</Value></member></Tags></A>"
        );
    }

    #[test]
    fn moments_have_no_fractions() {
        assert_eq!(seconds(Timestamp(1_369_353_600_999)), "2013-05-24T00:00:00Z");
    }
}
