# IAM Roles Anywhere for the clients of one CA: the trust anchor, a role and a profile.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.30"
    }
  }
}

{{provider}}locals {
  managed_policy_arns = {{managedPolicyARNs}}
}

resource "aws_rolesanywhere_trust_anchor" "this" {
  name    = {{trustAnchorName}}
  enabled = true

  source {
    source_type = "CERTIFICATE_BUNDLE"
    source_data {
      x509_certificate_data = <<-EOT
        {{certificates}}
      EOT
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = {{roleName}}
  description          = {{description}}
  max_session_duration = {{roleDurationSeconds}}

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "RolesAnywhere"
        Effect = "Allow"
        Principal = {
          Service = "rolesanywhere.amazonaws.com"
        }
        Action = [
          "sts:AssumeRole",
          "sts:TagSession",
          "sts:SetSourceIdentity",
        ]
        Condition = local.condition
      },
    ]
  })
}

locals {
  # Who can assume the role: sessions through the trust anchor, with certificates that match all conditions.
  condition = {{condition}}
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = toset(local.managed_policy_arns)

  role       = aws_iam_role.this.name
  policy_arn = each.value
}

resource "aws_rolesanywhere_profile" "this" {
  name                = {{profileName}}
  enabled             = true
  role_arns           = [aws_iam_role.this.arn]
  managed_policy_arns = local.managed_policy_arns
  duration_seconds    = {{durationSeconds}}
}

output "trust_anchor_arn" {
  description = "For pki creds --trust-anchor-arn"
  value       = aws_rolesanywhere_trust_anchor.this.arn
}

output "profile_arn" {
  description = "For pki creds --profile-arn"
  value       = aws_rolesanywhere_profile.this.arn
}

output "role_arn" {
  description = "For pki creds --role-arn"
  value       = aws_iam_role.this.arn
}
