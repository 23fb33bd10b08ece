use super::*;
use crate::buffer::AlignedBuf;
use crate::drive::read_exact_at;

fn open(dir: &tempfile::TempDir) -> RealDrive {
    RealDrive::open(dir.path()).unwrap()
}

#[test]
fn files_are_private_and_listed_in_order_without_the_lock() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let drive = open(&dir);
    let _lock = drive.lock().unwrap();
    for name in ["b", "a", "c"] {
        drive.create(name, Access::Buffered).unwrap();
    }
    assert_eq!(drive.list().unwrap(), ["a", "b", "c"]);
    drive.rename("c", "a").unwrap();
    drive.remove("b").unwrap();
    drive.sync_dir().unwrap();
    assert_eq!(drive.list().unwrap(), ["a"]);
    let mode = std::fs::metadata(dir.path().join("a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let exists = drive.create("a", Access::Buffered).err().map(|e| e.kind());
    assert_eq!(exists, Some(io::ErrorKind::AlreadyExists));
    let absent = drive.open("b", Access::Buffered).err().map(|e| e.kind());
    assert_eq!(absent, Some(io::ErrorKind::NotFound));
    for bad in ["", ".", "..", "../x", "a/b", "a b", "é"] {
        let refused = drive.open(bad, Access::Buffered).err().map(|e| e.kind());
        assert_eq!(refused, Some(io::ErrorKind::InvalidInput), "{bad:?}");
    }
}

#[test]
fn a_second_lock_would_block() {
    let dir = tempfile::tempdir().unwrap();
    let lock = open(&dir).lock().unwrap();
    assert_eq!(open(&dir).lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(lock);
    open(&dir).lock().unwrap();
}

#[test]
fn a_created_drive_is_private_and_an_existing_one_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("above/drive");
    RealDrive::create(&path).unwrap().create("kept", Access::Buffered).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(RealDrive::create(&path).unwrap().list().unwrap(), ["kept"]);
    assert!(RealDrive::open(&dir.path().join("absent")).is_err());
}

#[test]
fn the_probe_notices_removal_and_replacement() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drive");
    std::fs::create_dir(&path).unwrap();
    let drive = RealDrive::open(&path).unwrap();
    let file = drive.create("file", Access::Buffered).unwrap();
    drive.probe().unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(drive.probe().unwrap_err().kind(), io::ErrorKind::NotFound);
    // Open files don't notice: that's why there is a probe.
    file.write_at(b"into nothing", 0, true).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(drive.probe().unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn direct_files_take_aligned_blocks_and_end_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let drive = open(&dir);
    let file = drive.create("direct", Access::Direct).unwrap();
    let mut block = AlignedBuf::zeroed(3 * ALIGN);
    block.fill(7);
    file.write_at(&block, 0, false).unwrap();
    file.write_at(&block, 2 * ALIGN as u64, true).unwrap();
    file.set_len(4 * ALIGN as u64 + 100).unwrap();
    let mut back = AlignedBuf::zeroed(8 * ALIGN);
    assert_eq!(file.read_at(&mut back, 0).unwrap(), 4 * ALIGN + 100);
    assert!(back[..4 * ALIGN + 100].iter().all(|b| *b == 7));
    assert_eq!(file.read_at(&mut back, 8 * ALIGN as u64).unwrap(), 0);
}

#[test]
fn reserved_space_does_not_show_and_set_len_frees_it() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let drive = open(&dir);
    let file = drive.create("file", Access::Buffered).unwrap();
    file.write_at(&[1; 4096], 0, true).unwrap();
    let blocks = || std::fs::metadata(dir.path().join("file")).unwrap().blocks() * 512;
    let before = blocks();
    file.allocate(1 << 20).unwrap();
    assert_eq!(file.len().unwrap(), 4096);
    file.set_len(4096).unwrap();
    assert_eq!(blocks(), before, "the reservation of a full-length file was kept");
}

#[test]
fn barriers_are_syncs_and_synchronous_writes() {
    let dir = tempfile::tempdir().unwrap();
    let drive = open(&dir);
    let file = drive.create("file", Access::Buffered).unwrap();
    file.write_at(b"0123", 0, false).unwrap();
    file.allocate(8192).unwrap();
    drive.sync_dir().unwrap();
    assert_eq!(drive.barriers(), 0);
    file.write_at(b"45", 4, true).unwrap();
    file.sync().unwrap();
    assert_eq!(drive.barriers(), 2);
    let mut back = [0; 6];
    read_exact_at(&*file, &mut back, 0).unwrap();
    assert_eq!(&back, b"012345");
    let eof = read_exact_at(&*file, &mut back, 1).unwrap_err();
    assert_eq!(eof.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn what_was_just_written_is_in_memory_and_direct_files_never_are() {
    let dir = tempfile::tempdir().unwrap();
    let drive = open(&dir);
    let file = drive.create("file", Access::Buffered).unwrap();
    file.write_at(&[7; 8192], 0, false).unwrap();
    let mut back = [0; 4096];
    // A file system may not know how.
    if let Some(n) = file.read_at_now(&mut back, 6144) {
        assert_eq!((n, back[..n].iter().all(|b| *b == 7)), (2048, true));
    }
    let direct = drive.open("file", Access::Direct).unwrap();
    assert_eq!(direct.read_at_now(&mut back, 0), None);
}
