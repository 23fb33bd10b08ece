use http::{HeaderMap, HeaderValue, Method};

use super::*;
use crate::ops::tests::head;

/// Every operation of the S3 model that AWS publishes for its clients: method, request target with
/// the required query parameters, and the operation's name (of the successor, where two
/// generations of an operation share one request).
#[rustfmt::skip]
const MODEL: &[(&str, &str, &str)] = &[
    ("DELETE", "/bucket/a/key?uploadId=1", "AbortMultipartUpload"),
    ("POST", "/bucket/a/key?uploadId=1", "CompleteMultipartUpload"),
    ("PUT", "/bucket/a/key", "CopyObject"),
    ("PUT", "/bucket", "CreateBucket"),
    ("POST", "/bucket?metadataConfiguration", "CreateBucketMetadataConfiguration"),
    ("POST", "/bucket?metadataTable", "CreateBucketMetadataTableConfiguration"),
    ("POST", "/bucket/a/key?uploads", "CreateMultipartUpload"),
    ("GET", "/bucket?session", "CreateSession"),
    ("DELETE", "/bucket", "DeleteBucket"),
    ("DELETE", "/bucket?analytics&id=1", "DeleteBucketAnalyticsConfiguration"),
    ("DELETE", "/bucket?cors", "DeleteBucketCors"),
    ("DELETE", "/bucket?encryption", "DeleteBucketEncryption"),
    ("DELETE", "/bucket?intelligent-tiering&id=1", "DeleteBucketIntelligentTieringConfiguration"),
    ("DELETE", "/bucket?inventory&id=1", "DeleteBucketInventoryConfiguration"),
    ("DELETE", "/bucket?lifecycle", "DeleteBucketLifecycle"),
    ("DELETE", "/bucket?metadataConfiguration", "DeleteBucketMetadataConfiguration"),
    ("DELETE", "/bucket?metadataTable", "DeleteBucketMetadataTableConfiguration"),
    ("DELETE", "/bucket?metrics&id=1", "DeleteBucketMetricsConfiguration"),
    ("DELETE", "/bucket?ownershipControls", "DeleteBucketOwnershipControls"),
    ("DELETE", "/bucket?policy", "DeleteBucketPolicy"),
    ("DELETE", "/bucket?replication", "DeleteBucketReplication"),
    ("DELETE", "/bucket?tagging", "DeleteBucketTagging"),
    ("DELETE", "/bucket?website", "DeleteBucketWebsite"),
    ("DELETE", "/bucket/a/key", "DeleteObject"),
    ("DELETE", "/bucket/a/key?annotation&annotationName=1", "DeleteObjectAnnotation"),
    ("DELETE", "/bucket/a/key?tagging", "DeleteObjectTagging"),
    ("POST", "/bucket?delete", "DeleteObjects"),
    ("DELETE", "/bucket?publicAccessBlock", "DeletePublicAccessBlock"),
    ("GET", "/bucket?abac", "GetBucketAbac"),
    ("GET", "/bucket?accelerate", "GetBucketAccelerateConfiguration"),
    ("GET", "/bucket?acl", "GetBucketAcl"),
    ("GET", "/bucket?analytics&id=1", "GetBucketAnalyticsConfiguration"),
    ("GET", "/bucket?cors", "GetBucketCors"),
    ("GET", "/bucket?encryption", "GetBucketEncryption"),
    ("GET", "/bucket?intelligent-tiering&id=1", "GetBucketIntelligentTieringConfiguration"),
    ("GET", "/bucket?inventory&id=1", "GetBucketInventoryConfiguration"),
    ("GET", "/bucket?lifecycle", "GetBucketLifecycleConfiguration"), // GetBucketLifecycle
    ("GET", "/bucket?lifecycle", "GetBucketLifecycleConfiguration"),
    ("GET", "/bucket?location", "GetBucketLocation"),
    ("GET", "/bucket?logging", "GetBucketLogging"),
    ("GET", "/bucket?metadataConfiguration", "GetBucketMetadataConfiguration"),
    ("GET", "/bucket?metadataTable", "GetBucketMetadataTableConfiguration"),
    ("GET", "/bucket?metrics&id=1", "GetBucketMetricsConfiguration"),
    ("GET", "/bucket?notification", "GetBucketNotificationConfiguration"), // GetBucketNotification
    ("GET", "/bucket?notification", "GetBucketNotificationConfiguration"),
    ("GET", "/bucket?ownershipControls", "GetBucketOwnershipControls"),
    ("GET", "/bucket?policy", "GetBucketPolicy"),
    ("GET", "/bucket?policyStatus", "GetBucketPolicyStatus"),
    ("GET", "/bucket?replication", "GetBucketReplication"),
    ("GET", "/bucket?requestPayment", "GetBucketRequestPayment"),
    ("GET", "/bucket?tagging", "GetBucketTagging"),
    ("GET", "/bucket?versioning", "GetBucketVersioning"),
    ("GET", "/bucket?website", "GetBucketWebsite"),
    ("GET", "/bucket/a/key", "GetObject"),
    ("GET", "/bucket/a/key?acl", "GetObjectAcl"),
    ("GET", "/bucket/a/key?annotation&annotationName=1", "GetObjectAnnotation"),
    ("GET", "/bucket/a/key?attributes", "GetObjectAttributes"),
    ("GET", "/bucket/a/key?legal-hold", "GetObjectLegalHold"),
    ("GET", "/bucket?object-lock", "GetObjectLockConfiguration"),
    ("GET", "/bucket/a/key?retention", "GetObjectRetention"),
    ("GET", "/bucket/a/key?tagging", "GetObjectTagging"),
    ("GET", "/bucket/a/key?torrent", "GetObjectTorrent"),
    ("GET", "/bucket?publicAccessBlock", "GetPublicAccessBlock"),
    ("HEAD", "/bucket", "HeadBucket"),
    ("HEAD", "/bucket/a/key", "HeadObject"),
    ("GET", "/bucket?analytics", "ListBucketAnalyticsConfigurations"),
    ("GET", "/bucket?intelligent-tiering", "ListBucketIntelligentTieringConfigurations"),
    ("GET", "/bucket?inventory", "ListBucketInventoryConfigurations"),
    ("GET", "/bucket?metrics", "ListBucketMetricsConfigurations"),
    ("GET", "/", "ListBuckets"),
    ("GET", "/", "ListBuckets"), // ListDirectoryBuckets
    ("GET", "/bucket?uploads", "ListMultipartUploads"),
    ("GET", "/bucket/a/key?annotation", "ListObjectAnnotations"),
    ("GET", "/bucket?versions", "ListObjectVersions"),
    ("GET", "/bucket", "ListObjects"),
    ("GET", "/bucket?list-type=2", "ListObjectsV2"),
    ("GET", "/bucket/a/key?uploadId=1", "ListParts"),
    ("PUT", "/bucket?abac", "PutBucketAbac"),
    ("PUT", "/bucket?accelerate", "PutBucketAccelerateConfiguration"),
    ("PUT", "/bucket?acl", "PutBucketAcl"),
    ("PUT", "/bucket?analytics&id=1", "PutBucketAnalyticsConfiguration"),
    ("PUT", "/bucket?cors", "PutBucketCors"),
    ("PUT", "/bucket?encryption", "PutBucketEncryption"),
    ("PUT", "/bucket?intelligent-tiering&id=1", "PutBucketIntelligentTieringConfiguration"),
    ("PUT", "/bucket?inventory&id=1", "PutBucketInventoryConfiguration"),
    ("PUT", "/bucket?lifecycle", "PutBucketLifecycleConfiguration"), // PutBucketLifecycle
    ("PUT", "/bucket?lifecycle", "PutBucketLifecycleConfiguration"),
    ("PUT", "/bucket?logging", "PutBucketLogging"),
    ("PUT", "/bucket?metrics&id=1", "PutBucketMetricsConfiguration"),
    ("PUT", "/bucket?notification", "PutBucketNotificationConfiguration"), // PutBucketNotification
    ("PUT", "/bucket?notification", "PutBucketNotificationConfiguration"),
    ("PUT", "/bucket?ownershipControls", "PutBucketOwnershipControls"),
    ("PUT", "/bucket?policy", "PutBucketPolicy"),
    ("PUT", "/bucket?replication", "PutBucketReplication"),
    ("PUT", "/bucket?requestPayment", "PutBucketRequestPayment"),
    ("PUT", "/bucket?tagging", "PutBucketTagging"),
    ("PUT", "/bucket?versioning", "PutBucketVersioning"),
    ("PUT", "/bucket?website", "PutBucketWebsite"),
    ("PUT", "/bucket/a/key", "PutObject"),
    ("PUT", "/bucket/a/key?acl", "PutObjectAcl"),
    ("PUT", "/bucket/a/key?annotation&annotationName=1", "PutObjectAnnotation"),
    ("PUT", "/bucket/a/key?legal-hold", "PutObjectLegalHold"),
    ("PUT", "/bucket?object-lock", "PutObjectLockConfiguration"),
    ("PUT", "/bucket/a/key?retention", "PutObjectRetention"),
    ("PUT", "/bucket/a/key?tagging", "PutObjectTagging"),
    ("PUT", "/bucket?publicAccessBlock", "PutPublicAccessBlock"),
    ("PUT", "/bucket/a/key?renameObject", "RenameObject"),
    ("POST", "/bucket/a/key?restore", "RestoreObject"),
    ("POST", "/bucket/a/key?select&select-type=2", "SelectObjectContent"),
    ("PUT", "/bucket?metadataAnnotationTable", "UpdateBucketMetadataAnnotationTableConfiguration"),
    ("PUT", "/bucket?metadataInventoryTable", "UpdateBucketMetadataInventoryTableConfiguration"),
    ("PUT", "/bucket?metadataJournalTable", "UpdateBucketMetadataJournalTableConfiguration"),
    ("PUT", "/bucket/a/key?encryption", "UpdateObjectEncryption"),
    ("PUT", "/bucket/a/key?partNumber=1&uploadId=1", "UploadPart"),
    ("PUT", "/bucket/a/key?partNumber=1&uploadId=1", "UploadPartCopy"),
    ("POST", "/WriteGetObjectResponse", "WriteGetObjectResponse"),
];

fn routed(method: &str, target: &str, headers: HeaderMap) -> Result<Operation, S3Error> {
    route(&head(method, target, headers))
}

fn copying() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-copy-source", HeaderValue::from_static("/other/key"));
    headers
}

#[test]
fn every_operation_of_the_model_is_found() {
    for (method, target, name) in MODEL {
        let headers = if name.contains("Copy") { copying() } else { HeaderMap::new() };
        let found = routed(method, target, headers).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(found.name(), *name, "{method} {target}");
        // A parameter without a meaning changes nothing.
        let gap = if target.contains('?') { '&' } else { '?' };
        let headers = if name.contains("Copy") { copying() } else { HeaderMap::new() };
        let found = routed(method, &format!("{target}{gap}x-id={name}&foo"), headers).unwrap();
        assert_eq!(found.name(), *name, "{method} {target}");
    }
}

#[test]
fn every_row_is_in_the_model_or_our_own() {
    let own = ["GetBucketAck", "PutBucketAck", "PostObject", "OptionsObject"];
    for op in Operation::ALL {
        let known = MODEL.iter().any(|(.., name)| *name == op.name()) || own.contains(&op.name());
        assert!(known, "{}", op.name());
    }
}

#[test]
fn forms_preflights_and_lists_with_ids() {
    for (method, target, name) in [
        ("POST", "/bucket", "PostObject"),
        ("OPTIONS", "/bucket/key", "OptionsObject"),
        ("OPTIONS", "/bucket", "OptionsObject"),
        ("GET", "/bucket?x-coffer-ack", "GetBucketAck"),
        ("PUT", "/bucket?x-coffer-ack", "PutBucketAck"),
        ("GET", "/bucket?analytics&id=", "GetBucketAnalyticsConfiguration"),
        ("GET", "/bucket/key?partNumber=1", "GetObject"),
        ("GET", "/bucket/key?versionId=null", "GetObject"),
        ("GET", "/bucket?foo", "ListObjects"),
    ] {
        assert_eq!(routed(method, target, HeaderMap::new()).unwrap().name(), name, "{target}");
    }
}

#[test]
fn a_copy_source_may_stand_in_a_presigned_query() {
    for name in ["x-amz-copy-source", "X-Amz-Copy-Source"] {
        let target = format!("/bucket/key?{name}=%2Fb%2Fk");
        let found = routed("PUT", &target, HeaderMap::new()).unwrap();
        assert_eq!(found, Operation::CopyObject);
    }
}

#[test]
fn a_sub_resource_never_falls_through_to_the_plain_operation() {
    for method in ["GET", "PUT", "POST", "DELETE", "HEAD"] {
        for place in ["", "bucket", "bucket/key"] {
            for sub in Operation::ALL.iter().map(|op| op.sub_resource()).filter(|s| !s.is_empty()) {
                match routed(method, &format!("/{place}?{sub}"), HeaderMap::new()) {
                    Ok(op) => assert_eq!(op.sub_resource(), sub, "{method} /{place}?{sub}"),
                    Err(e) => assert!(
                        matches!(e.code, Code::MethodNotAllowed | Code::InvalidArgument),
                        "{method} /{place}?{sub}: {e:?}"
                    ),
                }
            }
        }
    }
}

#[test]
fn what_fits_no_operation_is_refused() {
    for (method, target, code) in [
        ("DELETE", "/", Code::MethodNotAllowed),
        ("POST", "/bucket/key", Code::MethodNotAllowed),
        ("PATCH", "/bucket/key", Code::MethodNotAllowed),
        ("DELETE", "/bucket?location", Code::MethodNotAllowed),
        ("DELETE", "/bucket/key?acl", Code::MethodNotAllowed),
        ("GET", "/bucket?acl&policy", Code::InvalidArgument),
        ("PUT", "/bucket/key?uploadId=1", Code::InvalidArgument),
        ("PUT", "/bucket/key?partNumber=1", Code::InvalidArgument),
        ("GET", "/bucket?list-type=3", Code::InvalidArgument),
    ] {
        let error = routed(method, target, HeaderMap::new()).unwrap_err();
        assert_eq!(error.code, code, "{method} {target}");
    }
}

#[test]
fn methods_of_the_table_are_http_methods() {
    for op in Operation::ALL {
        assert!(op.method().parse::<Method>().is_ok(), "{}", op.name());
    }
}
