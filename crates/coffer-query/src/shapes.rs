//! The structures that replies are made of.

use coffer_identity::{AttachedPolicy, Group, ManagedPolicy, Page, PolicyVersion, Role, User};

use crate::document::Document;

impl Document {
    /// The fields of a user.
    pub(crate) fn user(&mut self, user: &User, with_tags: bool) {
        self.text("Path", &user.path)
            .text("UserName", &user.name)
            .text("UserId", &user.id)
            .text("Arn", &user.arn)
            .moment("CreateDate", user.created);
        if with_tags {
            self.boundary(user.boundary.as_deref());
            self.tags_if_any(&user.tags);
        }
    }

    /// The fields of a group.
    pub(crate) fn group(&mut self, group: &Group) {
        self.text("Path", &group.path)
            .text("GroupName", &group.name)
            .text("GroupId", &group.id)
            .text("Arn", &group.arn)
            .moment("CreateDate", group.created);
    }

    /// The fields of a role.
    pub(crate) fn role(&mut self, role: &Role, with_tags: bool) {
        self.text("Path", &role.path)
            .text("RoleName", &role.name)
            .text("RoleId", &role.id)
            .text("Arn", &role.arn)
            .moment("CreateDate", role.created)
            .policy("AssumeRolePolicyDocument", &role.trust);
        if !role.description.is_empty() {
            self.text("Description", &role.description);
        }
        self.plain("MaxSessionDuration", role.session_secs_max);
        if with_tags {
            self.boundary(role.boundary.as_deref());
            self.tags_if_any(&role.tags);
        }
    }

    /// The fields of a managed policy.
    pub(crate) fn managed(&mut self, policy: &ManagedPolicy, in_full: bool) {
        self.text("PolicyName", &policy.name)
            .text("PolicyId", &policy.id)
            .text("Arn", &policy.arn)
            .text("Path", &policy.path)
            .text("DefaultVersionId", &policy.default_version)
            .plain("AttachmentCount", policy.attached)
            .plain("PermissionsBoundaryUsageCount", policy.boundary_of)
            .plain("IsAttachable", true);
        if in_full && !policy.description.is_empty() {
            self.text("Description", &policy.description);
        }
        self.moment("CreateDate", policy.created).moment("UpdateDate", policy.updated);
        if in_full {
            self.tags_if_any(&policy.tags);
        }
    }

    /// The fields of a version of a managed policy.
    pub(crate) fn version(&mut self, version: &PolicyVersion, with_document: bool) {
        if with_document {
            self.policy("Document", &version.document);
        }
        self.text("VersionId", &version.id)
            .plain("IsDefaultVersion", version.is_default)
            .moment("CreateDate", version.created);
    }

    /// Managed policies that are attached.
    pub(crate) fn attached(&mut self, tag: &'static str, policies: &[AttachedPolicy]) {
        self.members(tag, policies, |xml, policy| {
            xml.text("PolicyName", &policy.name).text("PolicyArn", &policy.arn);
        });
    }

    /// A permissions boundary, if there is one.
    pub(crate) fn boundary(&mut self, boundary: Option<&str>) {
        if let Some(policy) = boundary {
            self.within("PermissionsBoundary", |xml| {
                xml.text("PermissionsBoundaryType", "Policy")
                    .text("PermissionsBoundaryArn", policy);
            });
        }
    }

    fn tags_if_any(&mut self, tags: &[(String, String)]) {
        if !tags.is_empty() {
            self.tags(tags);
        }
    }

    /// Whether there is more of a list, and where it goes on.
    pub(crate) fn page_end<T>(&mut self, page: &Page<T>) {
        self.plain("IsTruncated", page.next.is_some()).optional("Marker", page.next.as_deref());
    }
}
