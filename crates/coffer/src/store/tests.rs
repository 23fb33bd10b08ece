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
    let error = look_at(&at("foreign")).unwrap_err().fault.to_string();
    assert!(
        error.ends_with("it is not empty and not Coffer's (it holds \"photo.jpg\")"),
        "{error}"
    );
    let error = look_at(&at("file")).unwrap_err().fault.to_string();
    assert!(error.ends_with("it is not a directory"), "{error}");
    let error = look_at(&at("file/below")).unwrap_err().fault.to_string();
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
    assert!(error.fault.to_string().ends_with("is in use by another coffer"), "{error:?}");
    assert!(!error.is_failing);
}

#[test]
fn a_directory_that_fails_is_left_out_of_a_degraded_start_only() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("whole")).unwrap();
    std::fs::write(at("whole").join("super.a"), "x").unwrap();
    // It is there and can't be opened, as on a drive that answers with errors.
    std::os::unix::fs::symlink("failing", at("failing")).unwrap();
    let mut settings = crate::settings::resolve(|_| None, |_| None).unwrap();
    settings.data = vec![at("whole"), at("failing")];
    let error = look(&settings).unwrap_err().to_string();
    assert!(error.contains("failing"), "{error}");
    settings.degraded = true;
    let looked = look(&settings).unwrap();
    assert_eq!(looked.present(), [at("whole")]);
    assert_eq!(looked.dirs[1].1, State::Failing);

    let options = LogOptions { k: 1, m: 1, degraded: true, ..LogOptions::default() };
    let only = [(at("failing"), State::Coffer)];
    let Err(OpenFailure::Fault(fault)) = open_dirs(&only, &options) else { panic!("it opened") };
    assert!(fault.to_string().contains("failing"), "{fault}");
    let both = [(at("whole"), State::Coffer), (at("failing"), State::Coffer)];
    let Err(OpenFailure::Log(error)) = open_dirs(&both, &options) else { panic!("it opened") };
    assert!(error.to_string().contains("1 were given"), "the log is asked for the rest: {error}");
}

#[test]
fn a_drive_that_gives_no_answer_is_one_that_fails() {
    let path = Path::new("/drive");
    let (end, hang) = mpsc::channel::<()>();
    let (held, let_go) = mpsc::channel::<()>();
    let hanging = answer(path, Duration::from_millis(20), move || {
        // Until the test lets it go on.
        let _ = hang.recv();
        Ok(held)
    });
    let failure = hanging.expect_err("it hangs");
    assert!(failure.is_failing);
    assert_eq!(failure.fault.to_string(), "/drive: no answer in 20ms");
    // What it would have held is let go of when it comes at last.
    drop(end);
    assert_eq!(let_go.recv(), Err(mpsc::RecvError));
    let panicked = answer::<()>(path, Duration::from_secs(60), || panic!("on purpose"));
    assert!(panicked.expect_err("it panicked").is_failing);
    assert_eq!(answer(path, Duration::from_secs(60), || Ok(7)).expect("it answers"), 7);
}
