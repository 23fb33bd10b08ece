use std::collections::HashMap;
use std::path::Path;

use super::*;

fn resolve_with(flags: &[(&str, &[&str])], variables: &[(&str, &str)]) -> Result<Settings, Fault> {
    let flags: HashMap<&str, Vec<String>> =
        flags.iter().map(|(k, v)| (*k, v.iter().map(|s| (*s).to_owned()).collect())).collect();
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    resolve(|key| flags.get(key).cloned(), |name| variables.get(name).map(Into::into))
}

fn said<'a>(settings: &'a Settings, key: &str) -> &'a Effective {
    let at = TABLE.iter().position(|s| s.key == key).unwrap();
    &settings.effective[at]
}

#[test]
fn every_key_and_variable_is_unique_and_has_help_and_a_good_default() {
    let mut keys: Vec<_> = TABLE.iter().map(|s| s.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), TABLE.len());
    assert!(TABLE.iter().all(|s| s.help.len() > 10));
    let settings = resolve_with(&[], &[]).unwrap();
    assert_eq!(settings.effective.len(), TABLE.len());
    assert_eq!(settings.data, [PathBuf::from("./coffer-data")]);
    assert_eq!(settings.region, "us-east-1");
    assert_eq!(settings.scheme().unwrap(), Erasure { k: 1, m: 0 });
    flags(Command::new("all"), Scope::Serve).debug_assert();
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, "region = \"file\"\n\ndomain = [\"a.test\", \"b.test\"]\n").unwrap();
    let config = path.to_str().unwrap();
    let file = &[("COFFER_CONFIG", config)];

    let settings = resolve_with(&[], file).unwrap();
    assert_eq!(settings.region, "file");
    assert_eq!(said(&settings, "region").origin, Origin::File(path.clone(), 1));
    assert_eq!(settings.domain, ["a.test", "b.test"]);
    assert_eq!(said(&settings, "domain").origin, Origin::File(path.clone(), 3));
    assert_eq!(said(&settings, "listen").origin, Origin::Default);

    let both = &[("COFFER_CONFIG", config), ("COFFER_REGION", "env"), ("COFFER_DOMAIN", "x,y")];
    let settings = resolve_with(&[], both).unwrap();
    assert_eq!(settings.region, "env");
    assert_eq!(settings.domain, ["x", "y"]);

    let settings = resolve_with(&[("region", &["flag"])], both).unwrap();
    assert_eq!(settings.region, "flag");
    assert_eq!(said(&settings, "region").origin, Origin::Flag("--region".into()));
}

#[test]
fn an_empty_variable_is_not_set() {
    let settings = resolve_with(&[], &[("COFFER_REGION", "")]).unwrap();
    assert_eq!(settings.region, "us-east-1");
}

#[test]
fn wrong_values_say_which_setting_and_who_set_it() {
    for (variable, value, expected) in [
        ("COFFER_LISTEN", "nonsense", "listen: \"nonsense\" is not HOST:PORT"),
        ("COFFER_LISTEN", "::1:9000", "listen: \"::1:9000\" is not HOST:PORT"),
        ("COFFER_LISTEN", "localhost:99999", "listen: "),
        ("COFFER_ERASURE", "four", "erasure: \"four\" is not of the form K+M"),
        ("COFFER_ERASURE", "0+2", "erasure: 0+2: K must be at least 1"),
        ("COFFER_ERASURE", "20+5", "K+M at most 24"),
        ("COFFER_DEGRADED", "maybe", "degraded: \"maybe\" is neither true nor false"),
        ("COFFER_DRAIN_SECS", "-1", "drain_secs: \"-1\" is not a number"),
        ("COFFER_WRITE_FLOOR", "300", "write_floor: \"300\" is not a number from 0 to 255"),
        ("COFFER_LOG_FORMAT", "xml", "log_format: \"xml\" is neither"),
    ] {
        let error = resolve_with(&[], &[(variable, value)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.ends_with(&format!("(environment {variable})")), "{error}");
    }
}

#[test]
fn the_file_is_checked_key_by_key() {
    for (text, expected) in [
        ("\nlissten = \"x\"\n", "f line 2: there is no setting \"lissten\"; did you mean listen?"),
        ("colour = 1", "f line 1: there is no setting \"colour\""),
        ("[server]\nlisten = 1", "f line 1: there is no setting \"server\""),
        ("listen = 1.5", "f line 1: listen must be a text or a list of texts, not a TOML float"),
        ("degraded = \"yes\"", "f line 1: degraded must be true or false, not a TOML string"),
        ("domain = [1.5]", "f line 1: domain must be a list of texts"),
        ("\n\nregion = ", "f line 3: "),
        ("region = \"a\"\nregion = \"b\"", "f line 2: "),
    ] {
        let error = file::parse(Path::new("f"), text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error:?}");
    }
}

#[test]
fn a_garbled_file_is_an_error_never_a_panic() {
    let text = "region = \"a\"\ndomain = [\"x\", \"y\"]\ndegraded = true\ndrain_secs = 5\n";
    for cut in 0..text.len() {
        for junk in ["", "\u{0}", "=", "[[", "\"", "é"] {
            let _ = file::parse(Path::new("f"), &format!("{}{junk}", &text[..cut]));
        }
    }
}

#[test]
fn the_number_of_directories_chooses_the_scheme() {
    let expected = [
        (1, "1+0"),
        (2, "1+1"),
        (3, "2+1"),
        (4, "2+2"),
        (5, "3+2"),
        (6, "4+2"),
        (7, "4+3"),
        (8, "5+3"),
        (9, "6+3"),
        (10, "7+3"),
        (11, "7+4"),
        (12, "8+4"),
        (24, "20+4"),
    ];
    for (drives, scheme) in expected {
        assert_eq!(erasure_for(drives).unwrap().to_string(), scheme);
    }
    assert_eq!(erasure_for(0), None);
    assert_eq!(erasure_for(25), None);
}

#[test]
fn a_scheme_that_does_not_fit_the_directories_is_refused() {
    let error =
        resolve_with(&[("data", &["a", "b"]), ("erasure", &["2+1"])], &[]).unwrap().scheme();
    assert_eq!(
        error.unwrap_err().to_string(),
        "erasure 2+1 needs 3 data directories, and there are 2"
    );
}
