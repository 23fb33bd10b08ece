//! Reading files: what is refused, with its line.

use crate::history::collect::Collector;
use crate::history::command::read_lines;

fn read(text: &[u8]) -> Result<usize, String> {
    let mut collector = Collector::default();
    read_lines(&mut collector, text).map(|()| collector.finish().records)
}

const GOOD: &str = concat!(
    r#"{"client":1,"invoke_ns":1,"return_ns":2,"outcome":"done","op":"put","key":"k","#,
    r#""value":{"etag":"e","body":"b","size":1},"when":{"if_none_match":true}}"#,
    "\n\n",
    r#"{"client":1,"invoke_ns":3,"return_ns":4,"outcome":"done","op":"list","truncated":true,"#,
    r#""after":"a","entries":[{"key":"k","etag":"e","size":1}]}"#,
    "\n",
    r#"{"client":1,"invoke_ns":5,"until_ns":9,"outcome":"unknown","op":"abort","key":"k","#,
    r#""upload":"u"}"#,
);

#[test]
fn lines_are_read_and_empty_ones_are_not() {
    assert_eq!(read(GOOD.as_bytes()), Ok(3));
    assert_eq!(read(b""), Ok(0));
}

#[test]
fn every_cut_of_a_file_is_read_or_refused() {
    for end in 0..GOOD.len() {
        let whole_lines = GOOD[..end].matches("}\n").count();
        match read(&GOOD.as_bytes()[..end]) {
            Ok(records) => assert!(records == whole_lines || records == whole_lines + 1),
            Err(why) => {
                assert!(why.starts_with(&(GOOD[..end].matches('\n').count() + 1).to_string()))
            }
        }
    }
}

#[test]
fn every_damaged_byte_is_read_or_refused() {
    for i in 0..GOOD.len() {
        for byte in [0, b'{', b'"', b'9', 0xff] {
            let mut damaged = GOOD.as_bytes().to_vec();
            damaged[i] = byte;
            // Whatever it is, it does not panic; and what is read can be checked.
            let mut collector = Collector::default();
            if read_lines(&mut collector, &damaged[..]).is_ok() {
                crate::history::check(collector.finish());
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let put = r#""op":"put","key":"k","value":{"etag":"e","body":"b","size":1}"#;
    let get = r#""op":"get","key":"k","found":null"#;
    for (fields, why) in [
        (format!(r#""invoke_ns":3,"return_ns":2,"outcome":"done",{put}"#), "before it begins"),
        (format!(r#""invoke_ns":3,"until_ns":2,"outcome":"unknown",{put}"#), "before it begins"),
        (format!(r#""invoke_ns":1,"outcome":"done",{put}"#), "return_ns is missing"),
        (format!(r#""invoke_ns":1,"return_ns":2,"outcome":"unknown",{put}"#), "no return_ns"),
        (
            format!(r#""invoke_ns":1,"return_ns":2,"until_ns":3,"outcome":"done",{put}"#),
            "only an unknown",
        ),
        (
            format!(r#""invoke_ns":1,"return_ns":2,"outcome":"precondition-failed",{put}"#),
            "no outcome of this",
        ),
        (
            format!(r#""invoke_ns":1,"return_ns":2,"outcome":"not-found",{get}"#),
            "no outcome of this",
        ),
        (
            format!(
                r#""invoke_ns":1,"return_ns":2,"outcome":"done",{put},"when":{{"if_none_match":true,"if_match":"e"}}"#
            ),
            "one condition",
        ),
        (
            format!(r#""invoke_ns":1,"return_ns":2,"outcome":"done",{put},"when":{{"other":1}}"#),
            "unknown field",
        ),
    ] {
        let refused = read(format!(r#"{{"client":1,{fields}}}"#).as_bytes()).unwrap_err();
        assert!(refused.starts_with("1: ") && refused.contains(why), "{refused}, not {why}");
    }
}
