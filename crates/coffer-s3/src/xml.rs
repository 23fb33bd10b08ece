//! XML out, escaped as S3 escapes it, and XML in, bounded in size and depth.

use std::fmt::{Display, Write as _};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::error::{Code, S3Error};

/// The namespace of S3's documents.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Elements nested deeper than this are refused.
pub const DEPTH_MAX: usize = 32;

/// Documents with more elements are refused; completing an upload of 10,000 parts with checksums
/// takes 40,000.
pub const ELEMENTS_MAX: usize = 100_000;

/// Builds a document. Tags are closed in the order they were opened.
#[derive(Debug)]
pub struct Writer {
    out: String,
    open: Vec<&'static str>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// A document with only its declaration.
    pub fn new() -> Self {
        Self { out: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), open: Vec::new() }
    }

    /// A piece of a document: what [`Writer::append`] takes.
    pub fn fragment() -> Self {
        Self { out: String::new(), open: Vec::new() }
    }

    /// Adds a piece whose elements are all closed.
    pub fn append(&mut self, fragment: &Writer) -> &mut Self {
        assert!(fragment.open.is_empty(), "an element of the fragment is open");
        self.out.push_str(&fragment.out);
        self
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> usize {
        self.out.len()
    }

    /// A document whose root is `tag` in S3's namespace.
    pub fn with_root(tag: &'static str) -> Self {
        let mut writer = Self::new();
        for piece in ["<", tag, " xmlns=\"", NAMESPACE, "\">"] {
            writer.out.push_str(piece);
        }
        writer.open.push(tag);
        writer
    }

    /// Makes room for that many more bytes at once.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    // A listing of a thousand keys has some 12,000 tags, so these do without `format!`.

    fn begin(&mut self, tag: &'static str) {
        self.out.push('<');
        self.out.push_str(tag);
        self.out.push('>');
    }

    fn end(&mut self, tag: &'static str) {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
    }

    /// Opens an element.
    pub fn open(&mut self, tag: &'static str) -> &mut Self {
        self.open_with(tag, "")
    }

    /// Opens an element with attributes, written out and already escaped.
    pub fn open_with(&mut self, tag: &'static str, attributes: &str) -> &mut Self {
        self.out.push('<');
        self.out.push_str(tag);
        if !attributes.is_empty() {
            self.out.push(' ');
            self.out.push_str(attributes);
        }
        self.out.push('>');
        self.open.push(tag);
        self
    }

    /// Closes the innermost open element.
    pub fn close(&mut self) -> &mut Self {
        let tag = self.open.pop().expect("more elements are closed than were opened");
        self.end(tag);
        self
    }

    /// An element with text, escaped.
    pub fn text(&mut self, tag: &'static str, value: &str) -> &mut Self {
        self.begin(tag);
        escape_into(&mut self.out, value);
        self.end(tag);
        self
    }

    /// An element whose text needs no escaping: a number, a truth value.
    pub fn plain(&mut self, tag: &'static str, value: impl Display) -> &mut Self {
        self.begin(tag);
        write!(self.out, "{value}").expect("a String takes everything");
        self.end(tag);
        self
    }

    /// An element without content.
    pub fn empty(&mut self, tag: &'static str) -> &mut Self {
        for piece in ["<", tag, "/>"] {
            self.out.push_str(piece);
        }
        self
    }

    /// Closes what is open and gives the document.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }
}

/// Appends `text` with the markup characters as entities, and control characters and the two
/// characters XML 1.0 has no place for as character references, as S3 writes them.
pub fn escape_into(out: &mut String, text: &str) {
    let mut rest = text;
    // Most of a text stands for itself and is taken over as it is.
    while let Some(at) = rest.bytes().position(may_need_escape) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next().expect("there is a byte") {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c @ ('\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}') => {
                write!(out, "&#x{:x};", c as u32).expect("a String takes everything");
            }
            c => out.push(c),
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// Whether a character that begins with this byte may have to be escaped. None of these bytes
/// stands inside of a character: those are 0x80 to 0xBF.
fn may_need_escape(byte: u8) -> bool {
    // U+0080 to U+009F begin with 0xC2, U+FFFE and U+FFFF with 0xEF.
    matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'' | 0..=0x1f | 0x7f | 0xc2 | 0xef)
}

/// One element of a document that was read, without its attributes and namespace prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The local name.
    pub name: String,
    /// Its own text, entities resolved; of an element with children, only what is not blank.
    pub text: String,
    /// Its child elements in order.
    pub children: Vec<Element>,
}

impl Element {
    fn called(start: &BytesStart<'_>) -> Element {
        Element { name: start.local_name().as_ref().to_owned(), ..Element::default() }
    }

    /// The first child called `name`.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The text of the first child called `name`.
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|c| c.text.as_str())
    }

    /// All children called `name`, in order.
    pub fn children_named(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |c| c.name == name)
    }
}

/// Reads a whole document of at most `bytes_max` bytes. Anything else than one well-formed tree
/// of elements and text, a document type above all, is `MalformedXML`.
pub fn parse(bytes: &[u8], bytes_max: usize) -> Result<Element, S3Error> {
    let malformed = || S3Error::new(Code::MalformedXML);
    if bytes.len() > bytes_max {
        return Err(malformed());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    let mut elements = 0;
    loop {
        if elements > ELEMENTS_MAX {
            return Err(malformed());
        }
        match reader.read_event().map_err(|_| malformed())? {
            Event::Start(start) => {
                elements += 1;
                if root.is_some() || open.len() == DEPTH_MAX {
                    return Err(malformed());
                }
                open.push(Element::called(&start));
            }
            Event::Empty(start) => {
                elements += 1;
                place(Element::called(&start), &mut open, &mut root)?;
            }
            Event::End(_) => {
                let mut element = open.pop().ok_or_else(malformed)?;
                if !element.children.is_empty() {
                    element.text = element.text.trim().to_owned();
                }
                place(element, &mut open, &mut root)?;
            }
            Event::Text(piece) => {
                let piece = piece.xml10_content();
                match open.last_mut() {
                    Some(element) => element.text.push_str(&piece),
                    None if piece.trim().is_empty() => {}
                    None => return Err(malformed()),
                }
            }
            Event::CData(piece) => {
                let piece = piece.xml10_content();
                open.last_mut().ok_or_else(malformed)?.text.push_str(&piece);
            }
            Event::GeneralRef(reference) => {
                let element = open.last_mut().ok_or_else(malformed)?;
                element.text.push(match reference.resolve_char_ref() {
                    Ok(Some(c)) => c,
                    Ok(None) => match &*reference {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => return Err(malformed()),
                    },
                    Err(_) => return Err(malformed()),
                });
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::DocType(_) => return Err(malformed()),
            Event::Eof => break,
        }
    }
    if !open.is_empty() {
        return Err(malformed());
    }
    root.ok_or_else(malformed)
}

fn place(
    element: Element,
    open: &mut [Element],
    root: &mut Option<Element>,
) -> Result<(), S3Error> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err(S3Error::new(Code::MalformedXML)),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
