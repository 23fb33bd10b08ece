//! What a decision costs: a user with 10 policies of 20 statements.

use std::hint::black_box;

use coffer_iam::{Action, Ask, Attached, Context, Kind, Policy, Principal, Resource, authorize};
use criterion::{Criterion, criterion_group, criterion_main};

/// A policy of 20 statements such as people write: buckets and prefixes of teams, homes of users,
/// conditions on address, transport and prefix, and a deny.
fn policy(number: usize) -> Policy {
    let statements: Vec<String> = (0..20)
        .map(|i| {
            let bucket = format!("team-{number}-{i}");
            match i % 5 {
                0 => format!(
                    r#"{{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
                         "Resource": ["arn:aws:s3:::{bucket}/data/*", "arn:aws:s3:::{bucket}/log/*"]}}"#
                ),
                1 => format!(
                    r#"{{"Effect": "Allow", "Action": "s3:*",
                         "Resource": "arn:aws:s3:::{bucket}/home/${{aws:username}}/*"}}"#
                ),
                2 => format!(
                    r#"{{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::{bucket}",
                         "Condition": {{"StringLike": {{"s3:prefix": ["data/*", "home/${{aws:username}}/*"]}}}}}}"#
                ),
                3 => format!(
                    r#"{{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "arn:aws:s3:::*-{i}/*",
                         "Condition": {{"IpAddress": {{"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}},
                                        "Bool": {{"aws:SecureTransport": "true"}}}}}}"#
                ),
                _ => format!(
                    r#"{{"Effect": "Deny", "Action": "s3:Delete*", "NotResource": "arn:aws:s3:::{bucket}/tmp/*",
                         "Condition": {{"DateLessThan": {{"aws:CurrentTime": "2020-01-01T00:00:00Z"}}}}}}"#
                ),
            }
        })
        .collect();
    let json = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","));
    Policy::parse(&json, Kind::Identity).expect("a policy of the benchmark")
}

fn benchmark(criterion: &mut Criterion) {
    let mut user = Principal::user("111122223333", "owner", "ada", "AIDAEXAMPLE");
    user.policies = (0..10).map(|i| Attached::new(format!("p{i}"), policy(i))).collect();
    let mut context = Context::new();
    for (key, value) in [
        ("aws:CurrentTime", "2026-11-24T12:00:00Z"),
        ("aws:EpochTime", "1795521600"),
        ("aws:UserAgent", "aws-cli/2"),
        ("aws:SecureTransport", "true"),
        ("aws:SourceIp", "10.1.2.3"),
        ("s3:prefix", "data/2026/"),
        ("s3:signatureversion", "AWS4-HMAC-SHA256"),
        ("s3:authType", "REST-HEADER"),
    ] {
        context.set(key, value);
    }
    let mut group = criterion.benchmark_group("authorize/10x20");
    for (name, action, resource, allowed) in [
        ("get-allowed-last", Action::GetObject, Resource::object("team-9-15", "data/k"), true),
        ("get-home", Action::GetObject, Resource::object("team-4-6", "home/ada/k"), true),
        ("get-denied", Action::GetObject, Resource::object("elsewhere", "data/k"), false),
        ("list-condition", Action::ListBucket, Resource::bucket("team-9-17"), true),
        ("delete-denied", Action::DeleteObject, Resource::object("team-9-15", "data/k"), false),
    ] {
        let ask = Ask::new(action, &resource).with_context(&context);
        assert_eq!(authorize(&user, &ask).is_ok(), allowed, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| authorize(black_box(&user), black_box(&ask)).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
