use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn looking_tells_what_a_directory_is_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("empty")).unwrap();
    std::fs::create_dir(at("foreign")).unwrap();
    std::fs::write(at("foreign").join("photo.jpg"), "x").unwrap();
    std::fs::create_dir(at("coffer")).unwrap();
    std::fs::write(at("coffer").join("super.b"), "x").unwrap();
    std::fs::create_dir(at("begun")).unwrap();
    std::fs::write(at("begun").join("credentials.toml"), "x").unwrap();
    std::fs::write(at("file"), "x").unwrap();
    let before = names(dir.path());

    assert_eq!(look_at(&at("absent")).unwrap(), State::Absent);
    assert_eq!(look_at(&at("absent/below")).unwrap(), State::Absent);
    assert_eq!(look_at(&at("empty")).unwrap(), State::Empty);
    assert_eq!(look_at(&at("begun")).unwrap(), State::Empty);
    assert_eq!(look_at(&at("coffer")).unwrap(), State::Coffer);
    let error = look_at(&at("foreign")).unwrap_err().to_string();
    assert!(
        error.ends_with("it is not empty and not Coffer's (it holds \"photo.jpg\")"),
        "{error}"
    );
    let error = look_at(&at("file")).unwrap_err().to_string();
    assert!(error.ends_with("it is not a directory"), "{error}");
    let error = look_at(&at("file/below")).unwrap_err().to_string();
    assert!(error.contains("Not a directory"), "{error}");

    assert_eq!(names(dir.path()), before);
    assert!(names(&at("empty")).is_empty());
}

#[test]
fn a_failed_start_takes_back_what_it_made() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    {
        let mut undo = Undo::default();
        let _held = [
            hold(&deep, State::Absent, &mut undo).unwrap(),
            hold(&empty, State::Empty, &mut undo).unwrap(),
        ];
        assert!(deep.is_dir());
    }
    assert_eq!(names(dir.path()), ["empty"]);
    assert!(names(&empty).is_empty());

    let mut undo = Undo::default();
    hold(&deep, State::Absent, &mut undo).unwrap();
    undo.keep();
    assert!(deep.is_dir());
}

#[test]
fn a_directory_is_held_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut undo = Undo::default();
    let _held = hold(dir.path(), State::Empty, &mut undo).unwrap();
    let Err(error) = hold(dir.path(), State::Empty, &mut undo) else { panic!("held twice") };
    assert!(error.to_string().ends_with("is in use by another coffer"), "{error}");
}
