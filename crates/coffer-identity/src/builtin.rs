//! The managed policies that come with Coffer: those of AWS that people's tools name, and
//! Coffer's own two. They can be attached in every account, and changed by nobody.

use crate::ids::{Kind, fixed_id};

/// A policy that comes with Coffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// Its path.
    pub path: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What it says.
    pub document: &'static str,
}

/// The path of Coffer's own.
const COFFER: &str = "/coffer/";

/// The short names of Coffer's own.
pub const CANNED: &[&str] = &["readwrite", "readonly"];

/// All of them, in the order of their names, ignoring case.
pub const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "AdministratorAccess",
        path: "/",
        description: "Provides full access to everything.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    },
    Builtin {
        name: "AmazonS3FullAccess",
        path: "/",
        description: "Provides full access to all buckets.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
    },
    Builtin {
        name: "AmazonS3ReadOnlyAccess",
        path: "/",
        description: "Provides read only access to all buckets.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*"],"Resource":"*"}]}"#,
    },
    Builtin {
        name: "AWSDenyAll",
        path: "/",
        description: "Denies all access.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"DenyAll","Effect":"Deny","Action":"*","Resource":"*"}]}"#,
    },
    Builtin {
        name: "IAMFullAccess",
        path: "/",
        description: "Provides full access to identities.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#,
    },
    Builtin {
        name: "IAMReadOnlyAccess",
        path: "/",
        description: "Provides read only access to identities.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:SimulateCustomPolicy","iam:SimulatePrincipalPolicy"],"Resource":"*"}]}"#,
    },
    Builtin {
        name: "PowerUserAccess",
        path: "/",
        description: "Provides full access to everything but identities.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["iam:ListRoles"],"Resource":"*"}]}"#,
    },
    Builtin {
        name: "readonly",
        path: COFFER,
        description: "Coffer's own: reading all buckets.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"readonly","Effect":"Allow","Action":["s3:Get*","s3:List*","coffer:GetBucketAck"],"Resource":"arn:aws:s3:::*"}]}"#,
    },
    Builtin {
        name: "ReadOnlyAccess",
        path: "/",
        description: "Provides read only access to everything.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","iam:Get*","iam:List*","iam:Simulate*","sts:GetCallerIdentity","sts:GetAccessKeyInfo","coffer:GetBucketAck"],"Resource":"*"}]}"#,
    },
    Builtin {
        name: "readwrite",
        path: COFFER,
        description: "Coffer's own: reading and writing all buckets.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"readwrite","Effect":"Allow","Action":["s3:*","coffer:GetBucketAck","coffer:PutBucketAck"],"Resource":"arn:aws:s3:::*"}]}"#,
    },
];

impl Builtin {
    /// Its ARN, whose account is `aws`.
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::aws:policy{}{}", self.path, self.name)
    }

    /// Its unique id, the same in every store.
    pub fn id(&self) -> String {
        fixed_id(Kind::Policy, self.name)
    }

    /// The one with this ARN.
    pub fn by_arn(arn: &str) -> Option<&'static Builtin> {
        let tail = arn.strip_prefix("arn:aws:iam::aws:policy")?;
        BUILTINS.iter().find(|b| tail.strip_prefix(b.path) == Some(b.name))
    }

    /// Coffer's own with this short name.
    pub fn canned(name: &str) -> Option<&'static Builtin> {
        BUILTINS.iter().find(|b| b.path == COFFER && b.name == name)
    }

    /// The short name, if it is one of Coffer's own.
    pub fn canned_name(arn: &str) -> Option<&'static str> {
        Builtin::by_arn(arn).filter(|b| b.path == COFFER).map(|b| b.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_by_arn_ordered_and_different() {
        for builtin in BUILTINS {
            assert_eq!(Builtin::by_arn(&builtin.arn()), Some(builtin));
            crate::documents::identity(builtin.document).unwrap();
        }
        let names: Vec<_> = BUILTINS.iter().map(|b| b.name.to_ascii_lowercase()).collect();
        assert!(names.is_sorted(), "{names:?}");
        let mut ids: Vec<_> = BUILTINS.iter().map(Builtin::id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), BUILTINS.len());
        assert_eq!(Builtin::by_arn("arn:aws:iam::aws:policy/readwrite"), None, "not its path");
        assert!(CANNED.iter().all(|name| Builtin::canned(name).is_some()));
        assert!(
            Builtin::canned("readwrite").is_some() && Builtin::canned("IAMFullAccess").is_none()
        );
    }
}
