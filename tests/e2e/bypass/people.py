"""The identities under attack: users, groups, roles and policies that only root may touch."""

import json
import re
from urllib.parse import urlencode

from .operations import Builder
from .request import Request
from .signing import Signer
from .wire import Reply

#: In everything that intruders must not read, and in no name.
SECRET = b"what nobody but root may read"
VERSIONS = {"iam": "2010-05-08", "sts": "2011-06-15"}
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class People:
    """Whom an intruder would like to be, or to change."""

    victim, crew, vizier, law, issuer = "victim", "crew", "vizier", "law", "https://oidc.example"
    #: A user with a path, and a role that trusts only that.
    boss, hermit = "boss", "hermit"

    def __init__(self, scene):
        self.scene = scene
        self.account = self.find("Account", self.must("sts", "GetCallerIdentity"))
        self.courier = None
        self.lay_out()

    def arn(self, kind_and_name: str) -> str:
        return f"arn:aws:iam::{self.account}:{kind_and_name}"

    def ask(self, service: str, action: str, signer: Signer | None = None, **arguments) -> Reply:
        """A call, of root's unless there is another signer."""
        signer = (signer or self.scene.root).but(service=service)
        names = (pair for pair in arguments.items())
        form = {"Action": action, "Version": VERSIONS[service]}
        form |= {name.replace("_", "."): value for name, value in names}
        headers = (
            ("Host", self.scene.host),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        )
        request = Request("POST", "/", "", headers, urlencode(form).encode())
        return self.scene.wire.send(signer.sign(request))

    def must(self, service: str, action: str, signer: Signer | None = None, **arguments) -> Reply:
        reply = self.ask(service, action, signer, **arguments)
        assert reply.status == 200, f"{action} {arguments}: {reply}\n{reply.body!r}"
        return reply

    @staticmethod
    def find(tag: str, reply: Reply) -> str:
        return re.search(f"<{tag}>([^<]*)</{tag}>", reply.body.decode())[1]

    def lay_out(self):
        """Makes everybody."""

        def iam(action, **arguments):
            return self.must("iam", action, **arguments)

        iam("CreateUser", UserName=self.victim)
        key = iam("CreateAccessKey", UserName=self.victim)
        self.key = self.find("AccessKeyId", key)
        self.as_victim = Signer(
            self.key, self.find("SecretAccessKey", key), region=self.scene.root.region
        )
        iam("PutUserPolicy", UserName=self.victim, PolicyName="own", PolicyDocument=document(ALL))
        secret = SECRET.decode()
        law = iam(
            "CreatePolicy",
            PolicyName=self.law,
            PolicyDocument=document(ALL),
            Description=secret,
        )
        assert self.find("Arn", law) == self.arn(f"policy/{self.law}")
        iam(
            "CreatePolicyVersion",
            PolicyArn=self.arn(f"policy/{self.law}"),
            PolicyDocument=document(ALL),
        )
        iam("CreateGroup", GroupName=self.crew)
        iam("AddUserToGroup", GroupName=self.crew, UserName=self.victim)
        iam("PutGroupPolicy", GroupName=self.crew, PolicyName="own", PolicyDocument=document(ALL))
        trust = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": self.arn("root")},
        }
        iam("CreateRole", RoleName=self.vizier, AssumeRolePolicyDocument=document(trust))
        iam("PutRolePolicy", RoleName=self.vizier, PolicyName="own", PolicyDocument=document(ALL))
        for kind, name in (("User", self.victim), ("Group", self.crew), ("Role", self.vizier)):
            iam(
                f"Attach{kind}Policy",
                PolicyArn=self.arn(f"policy/{self.law}"),
                **{f"{kind}Name": name},
            )
        iam("CreateUser", UserName=self.boss, Path="/staff/")
        for user in (self.victim, self.boss):
            iam("TagUser", UserName=user, Tags_member_1_Key="a", Tags_member_1_Value=secret)
        trust["Principal"] = {"AWS": self.arn(f"user/staff/{self.boss}")}
        iam("CreateRole", RoleName=self.hermit, AssumeRolePolicyDocument=document(trust))
        iam(
            "CreateOpenIDConnectProvider",
            Url=self.issuer,
            ClientIDList_member_1="coffer",
            ThumbprintList_member_1="0" * 40,
        )

    def bound(self, user: str, statements):
        """Gives a user a boundary of these statements."""
        name = f"boundary-of-{user}"
        self.must("iam", "CreatePolicy", PolicyName=name, PolicyDocument=document(*statements))
        self.must(
            "iam",
            "PutUserPermissionsBoundary",
            UserName=user,
            PermissionsBoundary=self.arn(f"policy/{name}"),
        )

    def session(self, statements) -> Signer:
        """Credentials of a role that may do everything, for a session that may do this."""
        if self.courier is None:
            trust = {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": self.arn("root")},
            }
            self.must(
                "iam", "CreateRole", RoleName="steward", AssumeRolePolicyDocument=document(trust)
            )
            self.must(
                "iam",
                "PutRolePolicy",
                RoleName="steward",
                PolicyName="all",
                PolicyDocument=document(ALL),
            )
            assume = {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Resource": self.arn("role/steward"),
            }
            self.courier = self.scene.user("courier", [assume])
        arguments = {"RoleArn": self.arn("role/steward"), "RoleSessionName": "of-the-search"}
        if statements:
            arguments["Policy"] = document(*statements)
        return self.credentials(self.must("sts", "AssumeRole", self.courier, **arguments))

    def foreigners(self) -> dict:
        """Those who may do everything in another account."""
        added = self.scene.store.run("account", "add", "elsewhere", "--json", "DIRS")
        added = json.loads(added.stdout)
        root = Signer(added["access_key"], added["secret_key"], region=self.scene.root.region)
        self.must("iam", "CreateUser", root, UserName="foreigner")
        self.must(
            "iam",
            "PutUserPolicy",
            root,
            UserName="foreigner",
            PolicyName="all",
            PolicyDocument=document(ALL),
        )
        key = self.must("iam", "CreateAccessKey", root, UserName="foreigner")
        found = (self.find(tag, key) for tag in ("AccessKeyId", "SecretAccessKey"))
        user = Signer(*found, region=root.region)
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": added["id"]}}
        self.must(
            "iam", "CreateRole", root, RoleName="steward", AssumeRolePolicyDocument=document(trust)
        )
        self.must(
            "iam",
            "PutRolePolicy",
            root,
            RoleName="steward",
            PolicyName="all",
            PolicyDocument=document(ALL),
        )
        arn = f"arn:aws:iam::{added['id']}:role/steward"
        role = self.must("sts", "AssumeRole", user, RoleArn=arn, RoleSessionName="abroad")
        return {
            "the root of another account": root,
            "a user of another account": user,
            "a role of another account": self.credentials(role),
            "a session of a user of another account": self.token(user),
        }

    def token(self, signer: Signer) -> Signer:
        """Temporary credentials of a user."""
        return self.credentials(self.must("sts", "GetSessionToken", signer))

    def credentials(self, reply: Reply) -> Signer:
        found = (
            self.find(tag, reply) for tag in ("AccessKeyId", "SecretAccessKey", "SessionToken")
        )
        return Signer(*found, region=self.scene.root.region)

    def builder(self, service: str) -> Builder:
        known = {
            "UserName": self.victim,
            "GroupName": self.crew,
            "RoleName": self.vizier,
            "PolicyName": "own",
            "PolicyArn": self.arn(f"policy/{self.law}"),
            "AccessKeyId": self.key,
            "VersionId": "v1",
            "Status": "Inactive",
            "PolicyDocument": document(ALL),
            "AssumeRolePolicyDocument": document(
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}
            ),
            "PermissionsBoundary": self.arn(f"policy/{self.law}"),
            "OpenIDConnectProviderArn": self.arn("oidc-provider/oidc.example"),
            "ThumbprintList": ["1" * 40],
            "PolicySourceArn": self.arn(f"user/{self.victim}"),
            "PolicyInputList": [document(ALL)],
            "ActionNames": ["s3:GetObject"],
            "ResourceArns": [f"arn:aws:s3:::{self.scene.vault}/*"],
            "RoleArn": self.arn(f"role/{self.vizier}"),
            "RoleSessionName": "intruder",
            "WebIdentityToken": "eyJhbGciOiJub25lIn0.e30.",
            "CreateUser.UserName": "newcomer",
            "CreateGroup.GroupName": "gang",
            "CreateRole.RoleName": "usurper",
            "CreatePolicy.PolicyName": "edict",
            "CreateOpenIDConnectProvider.Url": "https://evil.example",
            "PutUserPolicy.PolicyName": "graft",
            "PutGroupPolicy.PolicyName": "graft",
            "PutRolePolicy.PolicyName": "graft",
            "UpdateUser.NewUserName": "renamed",
            "UpdateGroup.NewGroupName": "renamed",
            "UpdateRole.Description": "changed",
            "UpdateRoleDescription.Description": "changed",
            "CreatePolicyVersion.SetAsDefault": True,
            "SetDefaultPolicyVersion.VersionId": "v2",
            "DeletePolicyVersion.VersionId": "v2",
            "TagKeys": ["a"],
        }
        for name in (
            "GetUser",
            "CreateAccessKey",
            "ListAccessKeys",
            "DeleteAccessKey",
            "UpdateAccessKey",
        ):
            known[f"{name}.UserName"] = self.victim
        return Builder(service, self.scene.host, known)

    def state(self) -> dict:
        """Everybody as root sees them."""
        facts = {}
        for name, arguments in (
            ("GetAccountAuthorizationDetails", {"MaxItems": "1000"}),
            ("ListAccessKeys", {"UserName": self.victim}),
            ("ListOpenIDConnectProviders", {}),
            (
                "GetOpenIDConnectProvider",
                {"OpenIDConnectProviderArn": self.arn("oidc-provider/oidc.example")},
            ),
        ):
            reply = self.ask("iam", name, **arguments)
            text = re.sub(r"<RequestId>[^<]*</RequestId>", "", reply.body.decode())
            facts[f"iam:{name}"] = (reply.status, text)
        return facts

    def restore(self):
        """Everybody as they were at the beginning."""

        def gone(action, **arguments):
            self.ask("iam", action, **arguments)

        law = self.arn(f"policy/{self.law}")
        for user in (self.victim, self.boss, "renamed", "newcomer"):
            listed = self.ask("iam", "ListAccessKeys", UserName=user).body.decode()
            for key in re.findall(r"<AccessKeyId>([^<]+)<", listed):
                gone("DeleteAccessKey", UserName=user, AccessKeyId=key)
            for policy in ("own", "graft"):
                gone("DeleteUserPolicy", UserName=user, PolicyName=policy)
            gone("DetachUserPolicy", UserName=user, PolicyArn=law)
            gone("DeleteUserPermissionsBoundary", UserName=user)
            for group in (self.crew, "renamed"):
                gone("RemoveUserFromGroup", UserName=user, GroupName=group)
            gone("DeleteUser", UserName=user)
        for group in (self.crew, "renamed", "gang"):
            for policy in ("own", "graft"):
                gone("DeleteGroupPolicy", GroupName=group, PolicyName=policy)
            gone("DetachGroupPolicy", GroupName=group, PolicyArn=law)
            gone("DeleteGroup", GroupName=group)
        for role in (self.vizier, self.hermit, "usurper"):
            for policy in ("own", "graft"):
                gone("DeleteRolePolicy", RoleName=role, PolicyName=policy)
            gone("DetachRolePolicy", RoleName=role, PolicyArn=law)
            gone("DeleteRolePermissionsBoundary", RoleName=role)
            gone("DeleteRole", RoleName=role)
        for policy in (law, self.arn("policy/edict")):
            listed = self.ask("iam", "ListPolicyVersions", PolicyArn=policy).body.decode()
            for version in re.findall(r"<VersionId>([^<]+)<", listed):
                gone("DeletePolicyVersion", PolicyArn=policy, VersionId=version)
            gone("DeletePolicy", PolicyArn=policy)
        for issuer in ("oidc.example", "evil.example"):
            gone(
                "DeleteOpenIDConnectProvider",
                OpenIDConnectProviderArn=self.arn(f"oidc-provider/{issuer}"),
            )
        self.lay_out()
