use super::*;

fn at(dir: Ino, name: &str) -> Entry {
    Entry { dir, name: name.into() }
}

#[test]
fn names_and_bytes_are_as_in_a_file_system() {
    let mut tree = Tree::default();
    let dir = tree.create(&at(ROOT, "d"), Kind::Dir, 0o700).unwrap();
    let file = tree.create(&at(dir, "a"), Kind::File, 0o600).unwrap();
    assert_eq!(tree.create(&at(dir, "a"), Kind::File, 0o600), Err(Errno::EEXIST));
    assert_eq!(tree.create(&at(file, "x"), Kind::File, 0o600), Err(Errno::ENOTDIR));
    tree.write(file, 5, b"abc").unwrap();
    assert_eq!(tree.read(file, 3, 100).unwrap(), b"\0\0abc");
    assert_eq!(tree.read(file, u64::MAX, 100).unwrap(), b"");
    assert_eq!(tree.path(file), "d/a");
    assert_eq!(tree.remove(&at(ROOT, "d"), true), Err(Errno::ENOTEMPTY));
    assert_eq!(tree.remove(&at(ROOT, "d"), false), Err(Errno::EISDIR));
    tree.rename(&at(dir, "a"), &at(ROOT, "b"), false).unwrap();
    assert_eq!(tree.lookup(&at(ROOT, "b")), Ok(file));
    assert_eq!(tree.path(file), "b");
    tree.remove(&at(ROOT, "d"), true).unwrap();
    assert_eq!(tree.used_bytes, 8);
}

#[test]
fn a_file_without_a_name_lives_as_long_as_its_handles() {
    let mut tree = Tree::default();
    let file = tree.create(&at(ROOT, "a"), Kind::File, 0o600).unwrap();
    tree.open(file).unwrap();
    tree.write(file, 0, b"abc").unwrap();
    let other = tree.create(&at(ROOT, "b"), Kind::File, 0o600).unwrap();
    tree.rename(&at(ROOT, "b"), &at(ROOT, "a"), false).unwrap();
    assert_eq!(tree.lookup(&at(ROOT, "a")), Ok(other));
    assert_eq!(tree.read(file, 0, 3).unwrap(), b"abc");
    tree.release(file).unwrap();
    assert!(tree.node(file).is_err());
    assert_eq!(tree.used_bytes, 0);
}

#[test]
fn no_length_or_offset_panics() {
    let mut tree = Tree::default();
    let file = tree.create(&at(ROOT, "a"), Kind::File, 0o600).unwrap();
    assert_eq!(tree.write(file, u64::MAX, b"abc"), Err(Errno::EFBIG));
    assert_eq!(tree.set_len(file, u64::MAX), Err(Errno::EFBIG));
    assert_eq!(tree.set_len(ROOT, 0), Err(Errno::EISDIR));
    assert_eq!(tree.write(999, 0, b"abc"), Err(Errno::ENOENT));
}

#[test]
fn a_folder_is_loaded_whole() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::fs::write(folder.path().join("d/a"), b"abc").unwrap();
    let tree = Tree::load(folder.path()).unwrap();
    let dir = tree.lookup(&at(ROOT, "d")).unwrap();
    let file = tree.lookup(&at(dir, "a")).unwrap();
    assert_eq!(tree.read(file, 0, 9).unwrap(), b"abc");
    assert!(Tree::load(&folder.path().join("none")).is_err());
}
