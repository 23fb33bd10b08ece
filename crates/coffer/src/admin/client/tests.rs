use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn a_drive_that_fails_hides_nothing_that_another_says() {
    let root = tempfile::tempdir().unwrap();
    let dirs: Vec<PathBuf> = ["failing", "good"].map(|name| root.path().join(name)).to_vec();
    for dir in &dirs {
        std::fs::create_dir(dir).unwrap();
    }
    // An error that no leftover gives.
    std::os::unix::fs::symlink(SOCKET, dirs[0].join(SOCKET)).unwrap();
    let alone = connect(&dirs[..1]).err().expect("it can't be asked").to_string();
    assert!(alone.contains("failing"), "{alone}");
    let _listener = UnixListener::bind(dirs[1].join(SOCKET)).unwrap();
    assert!(connect(&dirs).unwrap().is_some());
    assert!(connect(&[root.path().join("none")]).unwrap().is_none());
}
