# SPDX-License-Identifier: Apache-2.0
"""The steps of the article on IAM Roles Anywhere that pki answers, from a CA to the AWS CLI's caller identity."""

from __future__ import annotations

from pathlib import Path

from walkthrough import Walk

ARTICLE = r"""
The certificates, with the file names of the article, and what is pasted into the console:

```console
$ pki init-ca
certificate  credential-process-data/root-cert.pem
…
$ pki issue-client
certificate  credential-process-data/client-cert.pem
key          credential-process-data/client-key.pem (readable by you alone)
…
$ pki print-bundle | tee bundle.pem
-----BEGIN CERTIFICATE-----
…
-----END CERTIFICATE-----
$ cmp bundle.pem credential-process-data/root-cert.pem
```

<!-- terminal: lab -->

```console
$ pki lab
export PKI_LAB_ENDPOINT=http://127.0.0.1:9912
…
2026-11-30T09:31:00Z pki: the lab is listening; open http://127.0.0.1:9912/ to watch it
```

The trust policy. One without a condition, as the article has it, is refused:

<!-- status: 0 64 0 -->

```console
$ eval "$(pki lab env)"
$ pki print-trust-policy --trust-anchor-arn "$PKI_LAB_TRUST_ANCHOR_ARN"
pki: error: …
pki: hint: … --subject-cn …
$ pki print-trust-policy --trust-anchor-arn "$PKI_LAB_TRUST_ANCHOR_ARN" \
    --certificate credential-process-data/client-cert.pem | jq -c '.Statement[] | .Action, .Condition'
["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]
{…"aws:PrincipalTag/x509Subject/CN":"TEST CLIENT"…}
```

Trust anchor, role, policies and profile:

```console
$ pki print-setup --format aws-cli --certificate credential-process-data/client-cert.pem | sh | tee setup.txt
trust anchor  arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/3bcfd5f9-be2d-4494-a79b-309aa24ac690
profile       arn:aws:rolesanywhere:us-east-1:123456789012:profile/46284bfe-cc6d-4a8b-9f92-b64b383625a6
role          arn:aws:iam::123456789012:role/TEST-ROOT-RolesAnywhere
…
$ anchor=$(awk '/^trust anchor/ { print $3 }' setup.txt)
$ profile=$(awk '/^profile/ { print $2 }' setup.txt)
$ role=$(awk '/^role/ { print $2 }' setup.txt)
$ aws iam list-attached-role-policies --role-name "${role##*/}" --query 'sort(AttachedPolicies[].PolicyName)' --output text
IAMAccessAnalyzerReadOnlyAccess	ReadOnlyAccess
$ aws rolesanywhere get-profile --profile-id "${profile##*/}" --query 'sort(profile.managedPolicyArns)' --output text
arn:aws:iam::aws:policy/IAMAccessAnalyzerReadOnlyAccess	arn:aws:iam::aws:policy/ReadOnlyAccess
$ unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
```

Credentials as JSON, as variables, and in a profile:

```console
$ options="--certificate credential-process-data/client-cert.pem
    --trust-anchor-arn $anchor --profile-arn $profile --role-arn $role"
$ pki creds $options | jq -r 'keys_unsorted[], .Version, .AccessKeyId, .Expiration'
Version
AccessKeyId
SecretAccessKey
SessionToken
Expiration
AccountId
1
ASIAIFURXYL7L32AIYGR
2026-11-23T01:23:28Z
$ (unset AWS_REGION AWS_DEFAULT_REGION; eval "$(pki creds $options --format env)" && aws sts get-caller-identity --query Arn)
"arn:aws:sts::123456789012:assumed-role/TEST-ROOT-RolesAnywhere/6ef50f897a2790a47aeb6c1744480b66e3c30236"
$ pki configure --profile article $options
profile      article in /home/alex/.aws/config
role         arn:aws:iam::123456789012:role/TEST-ROOT-RolesAnywhere
certificate  CN=TEST CLIENT, valid until 2027-11-23T06:55:51Z
private key  /home/alex/credential-process-data/client-key.pem
…
next         aws sts get-caller-identity --profile article
$ aws sts get-caller-identity --profile article
{
    "UserId": "AROAIYKHWECCLFFP6PCBK:4f1435e2b7acf826362aa86926b643dee379644e",
    "Account": "123456789012",
    "Arn": "arn:aws:sts::123456789012:assumed-role/TEST-ROOT-RolesAnywhere/4f1435e2b7acf826362aa86926b643dee379644e"
}
$ pki whoami --profile article
account  123456789012
session  arn:aws:sts::123456789012:assumed-role/TEST-ROOT-RolesAnywhere/4f1435e2b7acf826362aa86926b643dee379644e
user id  AROAIYKHWECCLFFP6PCBK:4f1435e2b7acf826362aa86926b643dee379644e
```
"""


def test_the_article(built: Path, tmp_path: Path) -> None:
    document = tmp_path / "article.md"
    document.write_text(ARTICLE)
    Walk(document, tmp_path, built).run()
