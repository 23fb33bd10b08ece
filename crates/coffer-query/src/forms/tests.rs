use http_body_util::Full;

use super::*;

fn body(bytes: usize) -> Full<Bytes> {
    Full::new(Bytes::from(vec![b'a'; bytes]))
}

#[tokio::test]
async fn all_forms_together_have_a_bound() {
    let forms = Forms::default();
    let mut taken = Vec::new();
    for _ in 0..UNSIGNED_ALL_BYTES_MAX / UNSIGNED_FORM_BYTES_MAX {
        taken.push(forms.of_anybody(body(UNSIGNED_FORM_BYTES_MAX)).await.unwrap());
    }
    let full = forms.of_anybody(body(1)).await.err().unwrap();
    assert_eq!(full.code, Code::ServiceUnavailable);
    // Who has a key has room still.
    assert_eq!(forms.of_somebody(body(FORM_BYTES_MAX)).await.unwrap().bytes.len(), FORM_BYTES_MAX);
    taken.pop();
    forms.of_anybody(body(UNSIGNED_FORM_BYTES_MAX)).await.unwrap();
    // What was refused halfway has given its room back.
    taken.clear();
    assert_eq!(forms.anybodys.bytes.available_permits(), UNSIGNED_ALL_BYTES_MAX);
}

#[tokio::test]
async fn each_form_has_a_bound() {
    let forms = Forms::default();
    let code = |result: Result<Form<'_>, QueryError>| result.err().map(|error| error.code);
    let too_large = Some(Code::RequestEntityTooLarge);
    assert_eq!(code(forms.of_anybody(body(UNSIGNED_FORM_BYTES_MAX + 1)).await), too_large);
    assert_eq!(code(forms.of_somebody(body(FORM_BYTES_MAX + 1)).await), too_large);
    assert_eq!(code(forms.of_somebody(body(UNSIGNED_FORM_BYTES_MAX + 1)).await), None);
    assert!(forms.of_anybody(body(0)).await.unwrap().bytes.is_empty());
}
