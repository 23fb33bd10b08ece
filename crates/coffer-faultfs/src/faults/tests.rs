use std::sync::Arc;
use std::sync::mpsc;

use super::*;

fn rule(text: &str) -> Rule {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_rule_is_about_its_operations_and_paths_and_so_often() {
    let faults = Faults::default();
    faults.add(rule(r#"{"action":"error","ops":["sync"],"path":"seg","count":1}"#)).unwrap();
    assert_eq!(faults.judge(Op::Write, "seg.1"), Verdict::default());
    assert_eq!(faults.judge(Op::Sync, "other"), Verdict::default());
    assert_eq!(faults.judge(Op::Sync, "seg.1").error, Some(Errno::EIO));
    assert_eq!(faults.judge(Op::Sync, "seg.1").error, None, "once");
    assert_eq!(faults.applied(), 1);
}

#[test]
fn rules_are_cleared_one_by_one_or_all() {
    let faults = Faults::default();
    let error = faults.add(rule(r#"{"action":"error","errno":"ENODEV"}"#)).unwrap();
    faults.add(rule(r#"{"action":"corrupt"}"#)).unwrap();
    let verdict = faults.judge(Op::Read, "a");
    assert_eq!((verdict.error, verdict.corrupt), (Some(Errno::ENODEV), true));
    faults.clear(Some(error));
    let verdict = faults.judge(Op::Read, "a");
    assert_eq!((verdict.error, verdict.corrupt), (None, true));
    faults.clear(None);
    assert_eq!(faults.judge(Op::Read, "a"), Verdict::default());
}

#[test]
fn a_stall_ends_when_its_rule_is_cleared() {
    let faults = Arc::new(Faults::default());
    let id = faults.add(rule(r#"{"action":"stall","ops":["write"]}"#)).unwrap();
    let verdict = faults.judge(Op::Write, "a");
    assert!(verdict.waits());
    let (done, waits) = mpsc::channel();
    let waiting = {
        let faults = faults.clone();
        std::thread::spawn(move || {
            faults.wait(&verdict);
            done.send(()).unwrap();
        })
    };
    assert!(waits.try_recv().is_err());
    faults.clear(Some(id));
    waits.recv_timeout(Duration::from_secs(60)).unwrap();
    waiting.join().unwrap();
}

#[test]
fn what_is_no_rule_is_refused() {
    assert!(serde_json::from_str::<Rule>(r#"{"action":"explode"}"#).is_err());
    assert!(serde_json::from_str::<Rule>(r#"{"action":"stall","op":"x"}"#).is_err());
    let unknown = rule(r#"{"action":"error","errno":"EBUSY"}"#);
    assert!(Faults::default().add(unknown).is_err());
}
