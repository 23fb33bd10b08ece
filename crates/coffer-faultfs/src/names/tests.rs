use super::*;

fn at(dir: Ino, name: &str) -> Entry {
    Entry { dir, name: name.into() }
}

fn left(names: &Names, kept: impl FnMut(usize) -> bool) -> Vec<(String, Ino)> {
    let left = names.clone().after_cut(kept);
    left.into_iter().map(|(at, ino)| (at.name.to_string_lossy().into_owned(), ino)).collect()
}

#[test]
fn names_wait_for_a_sync_of_their_own_directory() {
    let mut names = Names::default();
    names.set(at(1, "a"), 10);
    names.set(at(2, "b"), 11);
    assert_eq!(left(&names, |_| false), []);
    names.sync(1);
    assert_eq!(left(&names, |_| false), [("a".to_owned(), 10)]);
    assert_eq!(names.waiting(), 1);
}

#[test]
fn each_change_is_kept_or_lost_on_its_own() {
    let mut names = Names::default();
    names.set(at(1, "a"), 10);
    names.sync(1);
    names.set(at(1, "new"), 11);
    names.rename(at(1, "new"), at(1, "a"));
    names.set(at(1, "other"), 12);
    assert_eq!(left(&names, |n| n == 0), [("a".to_owned(), 10), ("new".to_owned(), 11)]);
    assert_eq!(left(&names, |n| n == 1), [("a".to_owned(), 11)]);
    assert_eq!(left(&names, |n| n == 2), [("a".to_owned(), 10), ("other".to_owned(), 12)]);
}

#[test]
fn a_removed_name_comes_back_if_the_removal_is_lost() {
    let mut names = Names::default();
    names.set(at(1, "a"), 10);
    names.sync(1);
    names.remove(at(1, "a"));
    names.remove(at(1, "never was"));
    assert_eq!(left(&names, |_| false), [("a".to_owned(), 10)]);
    assert_eq!(left(&names, |_| true), []);
    names.sync(1);
    assert_eq!(left(&names, |_| false), []);
}

#[test]
fn a_name_that_moved_to_another_directory_does_not_come_back() {
    let mut names = Names::default();
    names.set(at(1, "a"), 10);
    names.rename(at(1, "a"), at(2, "b"));
    names.sync(2);
    names.sync(1);
    assert_eq!(left(&names, |_| true), [("b".to_owned(), 10)]);
}
