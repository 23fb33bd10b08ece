//! Where things end: files that a power cut left shorter than what they mean, of which one pass
//! finds all, and history of which the last group is wrong in all copies.

use super::*;

/// A set over two drives that was started again after its only payload was put; with what is in
/// its only row, which ends in zeros for most of a page.
fn with_row() -> Store {
    let world = SimWorld::new(40);
    let (log, lane) = open(&world, 1, 1);
    let rng = SeededRng::new(40);
    let mut store = Store { world, log, lane, payloads: Vec::new(), rng, m: 1 };
    store.put_rows(5000);
    let Store { world, log, lane, payloads, rng, m } = store;
    log.close(lane).expect("it closes");
    let (log, lane) = open(&world, 1, 1);
    Store { world, log, lane, payloads, rng, m }
}

/// The bulk file's name, and where the cells of its only row are.
fn place(store: &Store) -> (String, std::ops::Range<u64>) {
    let (extent, _) = &store.payloads[0];
    let at = store.log.row_offsets(extent).expect("it is an extent")[0] + 4096;
    (FileKind::Bulk.file_name(extent.segment), at..at + 8192)
}

/// Cuts the zeros at the end of the row off.
fn cut_short(store: &Store, drive: &str) {
    let (name, cells) = place(store);
    let file = store.world.drive(drive).open(&name, Access::Buffered).expect("it is there");
    assert_eq!(file.len().expect("it has a length"), cells.end);
    file.set_len(cells.start + 5120).expect("it is cut short");
    file.sync().expect("it syncs");
}

#[test]
fn what_is_healed_makes_no_file_longer_than_the_others() {
    let store = with_row();
    let before = store.files();
    let (file, cells) = place(&store);
    for drive in ["d0", "d1"] {
        cut_short(&store, drive);
    }
    // Its page is written whole.
    assert!(store.world.flip_bit("d1", &file, cells.start + 4500, 3));
    let (report, findings) = store.scrub();
    assert_eq!((report.found, report.healed), (2, 2), "{findings:?}");
    let (report, findings) = store.scrub();
    assert_eq!(report.found, 0, "{findings:?}");
    assert_same(&store.files(), &before);
    store.check();
}

#[test]
fn a_row_that_is_cut_short_on_all_drives_is_whole_after_one_pass() {
    let store = with_row();
    let before = store.files();
    for drive in ["d0", "d1"] {
        cut_short(&store, drive);
    }
    let (report, findings) = store.scrub();
    assert_eq!((report.found, report.healed), (2, 2), "{findings:?}");
    assert_eq!(store.scrub().0.found, 0);
    assert_same(&store.files(), &before);
    store.check();
}

#[test]
fn a_read_that_misses_the_end_of_a_row_has_it_healed() {
    let store = with_row();
    let before = store.files();
    cut_short(&store, "d0");
    cut_short(&store, "d1");
    let (extent, _) = &store.payloads[0];
    assert!(store.log.read(extent, 0..extent.len).is_err());
    store.log.heal_queued();
    assert_same(&store.files(), &before);
    store.check();
}

#[test]
fn a_lost_last_group_is_told_of_the_segment_that_had_it() {
    let mut store = Store::new(1, 1, 41);
    let copies = |store: &Store| -> Vec<Covered> {
        let is_copy = |c: &Covered| c.file.ends_with(".copy") && c.range.end > 4096;
        store.log.covered().into_iter().filter(is_copy).collect()
    };
    store.commit();
    let of_last = copies(&store);
    let last = of_last.last().expect("a segment is open").file.clone();
    // The one that follows has no groups yet.
    let names = store.world.drive("d0").list().expect("the drive lists");
    let next = names.iter().filter(|name| name.ends_with(".copy")).max().expect("there is one");
    assert!(*next > last, "{names:?}");
    for part in of_last.iter().filter(|c| c.file == last) {
        store.flip_at(part, part.range.end - 4096);
    }
    let (report, findings) = store.scrub();
    assert_eq!((report.found, report.lost), (2, 2), "{findings:?}");
    let segment = last.trim_start_matches("commit-").trim_end_matches(".copy");
    let told = |f: &Finding| f.what.contains(&format!("in segment {segment}"));
    assert!(findings.iter().all(told), "{last}: {findings:?}");
}
