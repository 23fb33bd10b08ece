//! Values that begin with their version: what those above keep in the catalog.

use coffer_base::wire::Reader;

/// A row's value: one byte of version, then its fields. One that is not whole, or goes on after its
/// end, is none.
pub trait Row: Sized {
    /// For messages.
    const NAME: &'static str;
    /// The version that is written.
    const VERSION: u8 = 1;
    /// The highest version that is read; a higher one is of a newer program.
    const NEWEST: u8 = Self::VERSION;

    /// Appends the fields.
    fn encode_fields(&self, out: &mut Vec<u8>);
    /// Reads the fields.
    fn decode_fields(r: &mut Reader<'_>) -> Option<Self>;

    /// The value.
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::VERSION];
        self.encode_fields(&mut out);
        out
    }

    /// Reads what [`Row::encode`] wrote.
    fn decode(value: &[u8]) -> Option<Self> {
        let mut r = Reader::new(value);
        if r.u8()? != Self::VERSION {
            return None;
        }
        let row = Self::decode_fields(&mut r)?;
        r.is_empty().then_some(row)
    }
}
