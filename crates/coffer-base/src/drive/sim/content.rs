//! Bytes of a simulated file: pages that copies share until one writes.

use std::sync::Arc;

const PAGE: usize = 4096;

/// Contents that are cheap to clone. Bytes past the end are always zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// `None` is a page of zeros.
    pages: Vec<Option<Arc<[u8; PAGE]>>>,
    len: u64,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let n = self.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        let mut done = 0;
        while done < n {
            let at = offset as usize + done;
            let within = at % PAGE;
            let step = (PAGE - within).min(n - done);
            match self.pages.get(at / PAGE).and_then(Option::as_ref) {
                Some(page) => buf[done..done + step].copy_from_slice(&page[within..within + step]),
                None => buf[done..done + step].fill(0),
            }
            done += step;
        }
        n
    }

    pub(super) fn write(&mut self, data: &[u8], offset: u64) {
        if data.is_empty() {
            return;
        }
        let end = offset as usize + data.len();
        if self.pages.len() < end.div_ceil(PAGE) {
            self.pages.resize(end.div_ceil(PAGE), None);
        }
        let mut done = 0;
        while done < data.len() {
            let at = offset as usize + done;
            let within = at % PAGE;
            let step = (PAGE - within).min(data.len() - done);
            let bytes = &data[done..done + step];
            let page = &mut self.pages[at / PAGE];
            if step == PAGE && bytes.iter().all(|b| *b == 0) {
                *page = None;
            } else if page.is_some() || bytes.iter().any(|b| *b != 0) {
                let page = page.get_or_insert_with(|| Arc::new([0; PAGE]));
                Arc::make_mut(page)[within..within + step].copy_from_slice(bytes);
            }
            done += step;
        }
        self.len = self.len.max(end as u64);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let within = len as usize % PAGE;
            self.pages.truncate((len as usize).div_ceil(PAGE));
            if within > 0
                && let Some(Some(last)) = self.pages.get_mut(len as usize / PAGE)
            {
                Arc::make_mut(last)[within..].fill(0);
            }
        }
        self.pages.resize((len as usize).div_ceil(PAGE), None);
        self.len = len;
    }

    /// Flips one bit; false when the file has no such byte.
    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) -> bool {
        let mut byte = [0];
        if self.read(&mut byte, offset) == 0 {
            return false;
        }
        self.write(&[byte[0] ^ (1 << (bit % 8))], offset);
        true
    }
}
