use std::os::unix::fs::PermissionsExt;

use coffer_base::drive::RealDrive;

use super::*;

fn key(byte: u8) -> SecretKey {
    SecretKey::new([byte; coffer_identity::SECRET_KEY_BYTES])
}

#[test]
fn what_is_written_is_private_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let drive = RealDrive::open(dir.path()).unwrap();
    std::fs::write(dir.path().join(FILE_NEW), "left by a crash").unwrap();
    write(&drive, &key(1)).unwrap();
    let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(read(&[dir.path().to_owned()]).unwrap(), [Some(key(1))]);
}

#[test]
fn copies_that_lack_or_differ_are_noticed() {
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let paths: Vec<PathBuf> = dirs.iter().map(|d| d.path().to_owned()).collect();
    assert_eq!(read(&paths).unwrap(), [None, None, None]);
    write(&RealDrive::open(&paths[1]).unwrap(), &key(1)).unwrap();
    let found = read(&paths).unwrap();
    assert_eq!(found, [None, Some(key(1)), None]);
    assert_eq!(choose(&paths, &found, None).unwrap(), key(1));
    write(&RealDrive::open(&paths[2]).unwrap(), &key(2)).unwrap();
    let refused = choose(&paths, &read(&paths).unwrap(), None).unwrap_err().to_string();
    assert!(refused.contains("hold different keys"), "{refused}");
}

#[test]
fn a_named_file_is_made_once_and_then_needed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("elsewhere.key");
    let refused = in_file(&path, true).unwrap_err().to_string();
    assert!(refused.contains("it is not there"), "{refused}");
    assert!(!path.exists());
    let made = in_file(&path, false).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(in_file(&path, true).unwrap(), made);
    assert_eq!(in_file(&path, false).unwrap(), made);
    assert!(in_file(&dir.path().join("no/such"), false).is_err());
}

#[test]
fn a_named_file_is_whole_or_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (path, beside) = (dir.path().join("a.key"), dir.path().join("a.key.new"));
    // As a kill leaves it.
    std::fs::write(&beside, "").unwrap();
    let made = in_file(&path, false).unwrap();
    assert!(!beside.exists());
    assert!(create(&path, &key(9)).is_err(), "one that is there is not replaced");
    assert_eq!(in_file(&path, true).unwrap(), made);
}

#[test]
fn a_file_that_others_can_read_or_that_is_not_understood_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let good = text(&key(3));
    let twice = format!("{good}{}\n", key(4).to_hex());
    for (text, mode, expected) in [
        (good.as_str(), 0o644, "others can read it (mode 0644): chmod 600 it"),
        (good.as_str(), 0o620, "mode 0620"),
        ("", 0o600, "it does not hold a key"),
        ("# nothing", 0o600, "it does not hold a key"),
        ("00", 0o600, "it does not hold a key"),
        (&twice, 0o600, "it does not hold a key"),
        (&"0".repeat(4000), 0o600, "it does not hold a key"),
        (&"0".repeat(5000), 0o600, "it is longer than 4096 bytes"),
    ] {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = read_file(&path).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(read_file(&path).unwrap_err().to_string().contains("not a file"));
}
