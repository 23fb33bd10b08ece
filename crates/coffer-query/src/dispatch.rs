//! Which requests are for this face, and which operation they want.

use coffer_sigv4::{Query, Service};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method};

use crate::error::{Code, QueryError};
use crate::form::Parameters;
use crate::table::Operation;

/// The versions of the two interfaces, and the namespaces of their replies.
pub(crate) const INTERFACES: [(Service, &str, &str); 2] = [
    (Service::Iam, "2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/"),
    (Service::Sts, "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/"),
];

/// The namespace of a service's replies.
pub(crate) fn namespace(service: Service) -> &'static str {
    let found = INTERFACES.iter().find(|(known, _, _)| *known == service);
    found.map_or(INTERFACES[0].2, |(_, _, namespace)| namespace)
}

/// Whether a request is for this face: one that is signed for `iam` or `sts`, and of those that
/// are signed for nothing a form posted to `/`, and a GET of `/` that names an action and a
/// version. Everything else is S3's, also forms that are signed for it (`POST /?delete` of a bucket
/// that the host names).
pub fn is_query(parts: &Parts) -> bool {
    // What can't be decoded is S3's to refuse, unless its signature says otherwise.
    let query = Query::parse(parts.uri.query().unwrap_or("")).unwrap_or_default();
    match Service::claimed(&parts.headers, &query) {
        Some(Service::Iam | Service::Sts) => return true,
        Some(Service::S3) => return false,
        None => {}
    }
    let is_form = |value: &HeaderValue| {
        let text = value.as_bytes();
        let kind = text.split(|b| *b == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    };
    parts.uri.path() == "/"
        && match parts.method {
            Method::POST => parts.headers.get(CONTENT_TYPE).is_some_and(is_form),
            Method::GET => query.has("Action") && query.has("Version"),
            _ => false,
        }
}

/// The operation that is wanted.
pub(crate) fn operation(parameters: &Parameters) -> Result<Operation, QueryError> {
    let action = parameters.get("Action").filter(|action| !action.is_empty()).ok_or_else(|| {
        QueryError::new(Code::MissingAction, "The request must have the parameter Action.")
    })?;
    let version = parameters.get("Version").unwrap_or_default();
    let known = INTERFACES.iter().find(|(_, known, _)| *known == version);
    let Some((service, _, _)) = known else {
        return Err(QueryError::new(
            Code::NoSuchVersion,
            "The requested version is not one of 2010-05-08 (IAM) and 2011-06-15 (STS).",
        ));
    };
    Operation::named(*service, action).ok_or_else(|| {
        QueryError::new(
            Code::InvalidAction,
            format!("Could not find operation {action} for version {version}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn is(method: &str, uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_query(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn requests_find_their_face() {
        let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let signed = |service: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=A/1/r/{service}/aws4_request, SignedHeaders=host, Signature=0"
            )
        };
        assert!(is("POST", "/", &[form]));
        assert!(is(
            "POST",
            "http://h:1/",
            &[("content-type", "Application/X-WWW-Form-URLencoded")]
        ));
        assert!(is("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", &[]));
        assert!(is("PUT", "/b/k", &[("authorization", &signed("sts"))]));
        assert!(is("GET", "/?X-Amz-Credential=A%2F1%2Fr%2Fiam%2Faws4_request", &[]));
        assert!(!is("POST", "/bucket", &[form]), "a form to a bucket is S3's");
        let of_s3 = [form, ("authorization", &signed("s3"))];
        assert!(!is("POST", "/?delete", &of_s3), "the host may name a bucket");
        assert!(!is("POST", "/", &[("content-type", "multipart/form-data; boundary=a")]));
        assert!(!is("POST", "/", &[]));
        assert!(!is("GET", "/", &[]));
        assert!(!is("GET", "/?Action=A", &[]));
        assert!(!is("GET", "/b?Action=A&Version=1", &[]));
        assert!(!is("GET", "/?Action=%&Version=1", &[]));
        assert!(!is("GET", "/", &[("authorization", &signed("s3"))]));
        assert!(!is("GET", "/", &[("authorization", "\u{e9}")]));
    }

    #[test]
    fn operations_are_found_by_action_and_version() {
        let of =
            |form: &str| operation(&Parameters::read(form.as_bytes(), &Query::default()).unwrap());
        assert_eq!(of("Action=GetUser&Version=2010-05-08").unwrap(), Operation::GetUser);
        assert_eq!(of("Action=AssumeRole&Version=2011-06-15").unwrap(), Operation::AssumeRole);
        for (form, code) in [
            ("", Code::MissingAction),
            ("Action=", Code::MissingAction),
            ("Action=GetUser", Code::NoSuchVersion),
            ("Action=GetUser&Version=2011-06-15", Code::InvalidAction),
            ("Action=AssumeRole&Version=2010-05-08", Code::InvalidAction),
            ("Action=getuser&Version=2010-05-08", Code::InvalidAction),
        ] {
            assert_eq!(of(form).unwrap_err().code, code, "{form}");
        }
    }

    #[test]
    fn names_are_unique_in_each_service() {
        let mut names: Vec<_> = Operation::ALL.iter().map(|op| (op.service(), op.name())).collect();
        names.sort_unstable_by_key(|(service, name)| (service.name(), *name));
        names.dedup();
        assert_eq!(names.len(), Operation::ALL.len());
    }
}
