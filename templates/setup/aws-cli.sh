#!/bin/sh
# IAM Roles Anywhere for the clients of one CA: a trust anchor, and a role and a profile for each kind of client.
#
# It can be run again: what exists is found by its name, and what differs is changed. Before it changes anything, it stops at a role
# that is not for IAM Roles Anywhere, and at a trust anchor of the same name with another CA.
set -eu

{{region}}stop() {
    echo "$1" >&2
    exit 1
}

# Whether the role exists.
has_role() {
    if answer=$(aws iam get-role --role-name="$1" --query Role.AssumeRolePolicyDocument --output json 2>&1); then
        case $answer in
        *rolesanywhere.amazonaws.com*) return 0 ;;
        esac
        stop "the role $1 exists and is not for IAM Roles Anywhere: choose another name with --role"
    fi
    case $answer in
    *NoSuchEntity*) return 1 ;;
    esac
    stop "$answer"
}

{{#roles}}
has_role {{roleName}} || true
{{/roles}}

{{#newAnchor}}
# Certificates without the blanks around their lines, which do not count.
flat() { printf '%s' "$1" | tr -d ' \n'; }

trust_anchor_arn=
found=$(aws rolesanywhere list-trust-anchors --query {{anchorQuery}} --output text)
for arn in $found; do
    case $arn in
    arn:*)
        [ -z "$trust_anchor_arn" ] || stop "there are several trust anchors "{{trustAnchorName}}": choose one with --trust-anchor-arn"
        trust_anchor_arn=$arn
        ;;
    esac
done
if [ -n "$trust_anchor_arn" ]; then
    certificates={{certificates}}
    present=$(aws rolesanywhere get-trust-anchor \
        --trust-anchor-id "${trust_anchor_arn##*/}" \
        --query trustAnchor.source.sourceData.x509CertificateData --output text)
    case $present in
    {{certificatePattern}}) ;;
    *) stop "the trust anchor "{{trustAnchorName}}" has another CA: choose another name with --name" ;;
    esac
    [ "$(flat "$present")" = "$(flat "$certificates")" ] || aws rolesanywhere update-trust-anchor \
        --trust-anchor-id "${trust_anchor_arn##*/}" \
        --source {{source}} >/dev/null
else
    trust_anchor_arn=$(aws rolesanywhere create-trust-anchor \
        --name={{trustAnchorName}} \
        --enabled \
        --source {{source}} \
        --query trustAnchor.trustAnchorArn --output text)
fi
{{/newAnchor}}
{{#existingAnchor}}
trust_anchor_arn={{trustAnchorARN}}
aws rolesanywhere get-trust-anchor --trust-anchor-id "${trust_anchor_arn##*/}" >/dev/null
{{/existingAnchor}}
{{#roles}}

trust_policy={{trustPolicy}}

if has_role {{roleName}}; then
    aws iam update-assume-role-policy --role-name={{roleName}} --policy-document "$trust_policy"
    aws iam update-role --role-name={{roleName}} \
        --description {{description}} \
        --max-session-duration {{roleDurationSeconds}} >/dev/null
    attached=$(aws iam list-attached-role-policies --role-name={{roleName}} \
        --query 'AttachedPolicies[].PolicyArn' --output text)
    for policy_arn in $attached; do
        case $policy_arn in
        {{managedPolicyPattern}}) ;;
        arn:*) aws iam detach-role-policy --role-name={{roleName}} --policy-arn "$policy_arn" ;;
        esac
    done
    role_arn=$(aws iam get-role --role-name={{roleName}} --query Role.Arn --output text)
else
    role_arn=$(aws iam create-role \
        --role-name={{roleName}} \
        --description {{description}} \
        --max-session-duration {{roleDurationSeconds}} \
        --assume-role-policy-document "$trust_policy" \
        --query Role.Arn --output text)
fi

for policy_arn in {{managedPolicyARNs}}; do
    aws iam attach-role-policy --role-name={{roleName}} --policy-arn "$policy_arn"
done

profile_arn=
found=$(aws rolesanywhere list-profiles --query {{profileFilter}}"$role_arn')].profileArn" --output text)
for arn in $found; do
    case $arn in
    arn:*) profile_arn=${profile_arn:-$arn} ;;
    esac
done
if [ -n "$profile_arn" ]; then
    aws rolesanywhere update-profile \
        --profile-id "${profile_arn##*/}" \
        --managed-policy-arns {{managedPolicyARNs}} \
        --duration-seconds {{durationSeconds}} \
        {{naming}} >/dev/null
else
    profile_arn=$(aws rolesanywhere create-profile \
        --name={{profileName}} \
        --enabled \
        --role-arns "$role_arn" \
        --managed-policy-arns {{managedPolicyARNs}} \
        --duration-seconds {{durationSeconds}} \
        {{naming}} \
        --query profile.profileArn --output text)
fi

cat <<END
trust anchor  $trust_anchor_arn
profile       $profile_arn
role          $role_arn

pki creds --certificate CERT.pem --private-key KEY.pem \\
  --trust-anchor-arn $trust_anchor_arn \\
  --profile-arn $profile_arn \\
  --role-arn $role_arn
END
{{recording}}
{{/roles}}
