use std::os::unix::fs::PermissionsExt;

use coffer_base::SystemRng;
use coffer_base::drive::RealDrive;

use super::*;

fn pair(access_key: &str, secret_key: &str) -> Credentials {
    Credentials { access_key: access_key.into(), secret_key: secret_key.into() }
}

#[test]
fn random_pairs_have_the_promised_form_and_differ() {
    let (a, b) = (Credentials::random(&SystemRng), Credentials::random(&SystemRng));
    assert_eq!((a.access_key.len(), a.secret_key.len()), (20, 40));
    assert!(a.access_key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
    assert!(a.secret_key.bytes().all(|b| b.is_ascii_alphanumeric()));
    assert_ne!(a, b);
    a.check().unwrap();
    assert!(!format!("{a:?}").contains(&a.secret_key));
}

#[test]
fn what_is_written_is_private_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let drive = RealDrive::open(dir.path()).unwrap();
    let credentials = pair("key", "se\"cr'et\\#");
    std::fs::write(dir.path().join(FILE_NEW), "left by a crash").unwrap();
    write(&drive, &credentials).unwrap();
    let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let found = read(&[dir.path().to_owned()]).unwrap();
    assert_eq!(found.pair.unwrap().0, credentials);
    assert!(found.lacking.is_empty());
}

#[test]
fn copies_that_lack_or_differ_are_noticed() {
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let paths: Vec<PathBuf> = dirs.iter().map(|d| d.path().to_owned()).collect();
    assert_eq!(read(&paths).unwrap(), Found { lacking: vec![0, 1, 2], ..Found::default() });
    let drive = |i: usize| RealDrive::open(&paths[i]).unwrap();
    write(&drive(1), &pair("key", "secret-1")).unwrap();
    let found = read(&paths).unwrap();
    assert_eq!((found.pair.unwrap().1, found.lacking), (paths[1].join(FILE), vec![0, 2]));
    write(&drive(2), &pair("key", "secret-2")).unwrap();
    assert!(read(&paths).unwrap().check().unwrap_err().to_string().contains("hold different keys"));
}

#[test]
fn a_file_that_others_can_read_or_that_is_not_understood_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let good = pair("key", "secret-key").to_file();
    for (text, mode, expected) in [
        (good.as_str(), 0o644, "others can read it (mode 0644): chmod 600 it"),
        (good.as_str(), 0o660, "mode 0660"),
        ("", 0o600, "it has no access_key"),
        ("access_key = \"abc\"", 0o600, "it has no secret_key"),
        ("access_key = 5", 0o600, "access_key is not a text"),
        ("access_key = \"ab\"\nsecret_key = \"12345678\"", 0o600, "has 2 characters"),
        ("access_key = \"abc\"\nsecret_key = \"1234567\"", 0o600, "has 7 characters"),
        ("access_key = \"a/c\"\nsecret_key = \"12345678\"", 0o600, "the access key may hold"),
        ("password = \"x\"", 0o600, "\"password\" that means nothing"),
        ("[[[", 0o600, "credentials.toml: "),
        (&"#".repeat(5000), 0o600, "longer than 4096"),
    ] {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = read(&[dir.path().to_owned()]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    for cut in 0..good.len() {
        let _ = Credentials::parse(&good[..cut]);
    }
}
