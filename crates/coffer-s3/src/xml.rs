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

    /// A document whose root is `tag` in S3's namespace.
    pub fn with_root(tag: &'static str) -> Self {
        let mut writer = Self::new();
        write!(writer.out, "<{tag} xmlns=\"{NAMESPACE}\">").expect("a String takes everything");
        writer.open.push(tag);
        writer
    }

    /// Opens an element.
    pub fn open(&mut self, tag: &'static str) -> &mut Self {
        self.open_with(tag, "")
    }

    /// Opens an element with attributes, written out and already escaped.
    pub fn open_with(&mut self, tag: &'static str, attributes: &str) -> &mut Self {
        let gap = if attributes.is_empty() { "" } else { " " };
        write!(self.out, "<{tag}{gap}{attributes}>").expect("a String takes everything");
        self.open.push(tag);
        self
    }

    /// Closes the innermost open element.
    pub fn close(&mut self) -> &mut Self {
        let tag = self.open.pop().expect("more elements are closed than were opened");
        write!(self.out, "</{tag}>").expect("a String takes everything");
        self
    }

    /// An element with text, escaped.
    pub fn text(&mut self, tag: &'static str, value: &str) -> &mut Self {
        write!(self.out, "<{tag}>").expect("a String takes everything");
        escape_into(&mut self.out, value);
        write!(self.out, "</{tag}>").expect("a String takes everything");
        self
    }

    /// An element whose text needs no escaping: a number, a truth value.
    pub fn plain(&mut self, tag: &'static str, value: impl Display) -> &mut Self {
        write!(self.out, "<{tag}>{value}</{tag}>").expect("a String takes everything");
        self
    }

    /// An element without content.
    pub fn empty(&mut self, tag: &'static str) -> &mut Self {
        write!(self.out, "<{tag}/>").expect("a String takes everything");
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
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                write!(out, "&#x{:x};", c as u32).expect("a String takes everything");
            }
            c => out.push(c),
        }
    }
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
