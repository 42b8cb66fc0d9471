#!/bin/sh
# IAM Roles Anywhere for the clients of one CA: creates the trust anchor, a role and a profile.
#
# It changes no existing resource: create-role fails if the name is taken, and the script stops. Run it only once: AWS
# accepts several trust anchors and profiles of the same name.
set -eu

{{region}}trust_anchor_arn=$(aws rolesanywhere create-trust-anchor \
    --name={{trustAnchorName}} \
    --enabled \
    --source {{source}} \
    --query trustAnchor.trustAnchorArn --output text)

trust_policy={{trustPolicy}}

role_arn=$(aws iam create-role \
    --role-name={{roleName}} \
    --description {{description}} \
    --max-session-duration {{roleDurationSeconds}} \
    --assume-role-policy-document "$trust_policy" \
    --query Role.Arn --output text)

for policy_arn in {{managedPolicyARNs}}; do
    aws iam attach-role-policy --role-name={{roleName}} --policy-arn "$policy_arn"
done

profile_arn=$(aws rolesanywhere create-profile \
    --name={{profileName}} \
    --enabled \
    --role-arns "$role_arn" \
    --managed-policy-arns {{managedPolicyARNs}} \
    --duration-seconds {{durationSeconds}} \
    {{naming}} \
    --query profile.profileArn --output text)

cat <<END
trust anchor  $trust_anchor_arn
profile       $profile_arn
role          $role_arn

pki creds --certificate CERT.pem --private-key KEY.pem \\
  --trust-anchor-arn $trust_anchor_arn \\
  --profile-arn $profile_arn \\
  --role-arn $role_arn
END
