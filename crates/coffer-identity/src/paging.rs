//! Lists in pieces: a marker says where the last one ended.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};

use crate::error::{Error, Result};

/// The most entries of one piece.
pub const ITEMS_MAX: usize = 1000;

/// Which piece is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Where the last piece ended; `None`: from the beginning.
    pub marker: Option<String>,
    /// At most so many, 1 to [`ITEMS_MAX`].
    pub items_max: usize,
}

impl Default for Paging {
    /// The first, as many as AWS gives.
    fn default() -> Paging {
        Paging { marker: None, items_max: 100 }
    }
}

impl Paging {
    /// Everything that one call gives.
    pub fn most() -> Paging {
        Paging { marker: None, items_max: ITEMS_MAX }
    }

    /// Behind which text the piece begins.
    pub(crate) fn after(&self) -> Result<Option<String>> {
        if !(1..=ITEMS_MAX).contains(&self.items_max) {
            return Err(crate::form::invalid(
                "maxItems",
                "Member must have value between 1 and 1000, inclusive",
            ));
        }
        let Some(marker) = &self.marker else { return Ok(None) };
        let text = BASE64_URL_SAFE_NO_PAD.decode(marker).ok();
        let text = text.and_then(|text| String::from_utf8(text).ok());
        text.map(Some).ok_or_else(|| Error::Validation("Invalid Marker.".to_owned()))
    }

    /// The piece out of all of `items`, which ascend in what `place` says of them.
    pub(crate) fn piece<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        place: impl Fn(&T) -> String,
    ) -> Result<Page<T>> {
        let after = self.after()?;
        let begun = items.into_iter().filter(|item| {
            after.as_ref().is_none_or(|after| place(item).as_str() > after.as_str())
        });
        let mut items: Vec<T> = begun.take(self.items_max + 1).collect();
        let has_more = items.len() > self.items_max;
        items.truncate(self.items_max);
        let next = items.last().filter(|_| has_more).map(|last| marker(&place(last)));
        Ok(Page { items, next })
    }
}

/// A piece of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// The marker for the next piece, if there is more.
    pub next: Option<String>,
}

/// The marker for what comes after `text`.
pub(crate) fn marker(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole_whatever_their_size() {
        let all: Vec<String> = (0..17).map(|i| format!("n{i:02}")).collect();
        for items_max in 1..20 {
            let (mut paging, mut got) = (Paging { marker: None, items_max }, Vec::new());
            loop {
                let page = paging.piece(all.clone(), Clone::clone).unwrap();
                got.extend(page.items);
                match page.next {
                    Some(next) => paging.marker = Some(next),
                    None => break,
                }
            }
            assert_eq!(got, all, "{items_max} at a time");
        }
    }

    #[test]
    fn a_bad_marker_or_number_is_refused() {
        for (marker, items_max) in
            [(None, 0), (None, 1001), (Some("é"), 1), (Some("!!"), 1), (Some("_w"), 1)]
        {
            let paging = Paging { marker: marker.map(str::to_owned), items_max };
            assert!(matches!(paging.after(), Err(Error::Validation(_))), "{paging:?}");
        }
    }
}
