use super::*;

fn file(len: usize) -> PagedFile {
    let mut file = PagedFile::default();
    file.write_durably(0, &vec![1; len]);
    file
}

#[test]
fn what_was_not_synced_is_lost_and_what_was_is_not() {
    let mut file = file(1000);
    file.write(100, &[2; 10]);
    file.write(2000, &[3; 10]);
    assert_eq!(file.after_cut(), vec![1; 1000]);
    file.sync();
    let found = file.after_cut();
    assert_eq!(found.len(), 2010);
    assert_eq!(found[100..110], [2; 10]);
    assert_eq!(found[1000..2000], [0; 1000]);
    assert!(file.dirty().is_empty() && !file.len_is_dirty());
}

#[test]
fn a_durable_write_takes_its_sectors_and_the_length_along_and_nothing_else() {
    let mut file = file(1024);
    file.write(0, &[2; 10]);
    file.write(600, &[3; 10]);
    file.write_durably(1020, &[4; 10]);
    let found = file.after_cut();
    assert_eq!(found.len(), 1030);
    assert_eq!(found[0], 1, "another sector is not made durable");
    assert_eq!(found[600], 3, "the same sector is");
    assert_eq!(found[1029], 4);
}

#[test]
fn the_bytes_can_be_written_back_without_the_length_and_the_other_way_round() {
    let mut without_len = file(512);
    without_len.write(512, &[2; 512]);
    without_len.write_back(1);
    assert_eq!(without_len.after_cut(), vec![1; 512]);

    let mut without_bytes = file(512);
    without_bytes.write(512, &[2; 512]);
    without_bytes.write_back_len();
    assert_eq!(without_bytes.after_cut()[512..], [0; 512]);
}

#[test]
fn a_cut_that_is_not_durable_leaves_the_old_bytes_and_one_that_is_leaves_none() {
    let mut file = file(2000);
    file.set_len(700);
    assert_eq!(file.after_cut(), vec![1; 2000]);
    file.set_len(2000);
    file.write(1900, &[2; 10]);
    file.sync();
    let found = file.after_cut();
    assert_eq!(found[..700], [1; 700]);
    assert_eq!(found[700..1900], [0; 1200]);
    assert_eq!(found[1900..1910], [2; 10]);
}

#[test]
fn behind_a_cut_the_length_goes_first() {
    let mut file = file(2048);
    file.set_len(512);
    file.write(1024, &[2; 512]);
    file.write_back(2);
    let found = file.after_cut();
    assert_eq!(found.len(), 1536);
    assert_eq!(found[512..1024], [0; 512], "old bytes behind the cut are void");
}

#[test]
fn after_a_failed_sync_the_next_one_saves_nothing_of_before() {
    let mut file = file(1024);
    file.write(0, &[2; 512]);
    file.fail_sync();
    file.write(512, &[3; 512]);
    file.sync();
    let found = file.after_cut();
    assert_eq!(found[..512], [1; 512]);
    assert_eq!(found[512..], [3; 512]);
    // Processes still see it: a write beside it in the same sector carries it along.
    file.write(0, &[4; 1]);
    file.sync();
    assert_eq!(file.after_cut()[..3], [4, 2, 2]);
}
